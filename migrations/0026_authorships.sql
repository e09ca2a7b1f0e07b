-- Who wrote where: a row for each time that someone took part in a conversation and wrote, from their
-- first message since they came to the last before they left; none while they are in, when it is the
-- `last_sent` of their row in `participants`. The messages between are found by `sender_previous`, so
-- no index has to have all of them.
CREATE TABLE authorships (
    user_id TEXT NOT NULL,
    conversation_id TEXT NOT NULL REFERENCES conversations (id),
    first_message BIGINT NOT NULL,
    last_message BIGINT,
    PRIMARY KEY (user_id, conversation_id, first_message)
);

INSERT INTO authorships (user_id, conversation_id, first_message, last_message)
SELECT own.user_id, own.conversation_id, own.first_message,
    CASE WHEN own.last_message = p.last_sent THEN NULL ELSE own.last_message END
FROM (
    SELECT user_id, conversation_id, MIN(ordinal) AS first_message, MAX(ordinal) AS last_message
    FROM (
        SELECT sender_id AS user_id, conversation_id, ordinal,
            SUM(CASE WHEN sender_previous = 0 THEN 1 ELSE 0 END) OVER (
                PARTITION BY conversation_id, sender_id ORDER BY ordinal) AS times
        FROM messages) AS sent
    GROUP BY user_id, conversation_id, times) AS own
LEFT JOIN participants p
    ON p.conversation_id = own.conversation_id AND p.user_id = own.user_id;

DROP INDEX messages_by_sender;
