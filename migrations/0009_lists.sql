-- What lists need so that they cost the page. Of a conversation: `participants` counts who takes
-- part; no activity is later than `listed_at`, which is the same in the rows of all who take part,
-- so that it orders a user's conversations while most messages leave those rows alone.
ALTER TABLE conversations ADD COLUMN participants BIGINT NOT NULL DEFAULT 0;
ALTER TABLE conversations ADD COLUMN listed_at BIGINT NOT NULL DEFAULT 0;

UPDATE conversations SET
    participants = (
        SELECT COUNT(*) FROM participants p WHERE p.conversation_id = conversations.id),
    listed_at = last_activity_at;

-- Messages are numbered without a hole, and those of each sender by `sender_ordinal`, too;
-- `sender_previous` is the number of the one that the sender wrote before, 0 for the first.
ALTER TABLE messages ADD COLUMN sender_ordinal BIGINT NOT NULL DEFAULT 0;
ALTER TABLE messages ADD COLUMN sender_previous BIGINT NOT NULL DEFAULT 0;

UPDATE messages SET sender_ordinal = own.sender_ordinal, sender_previous = own.sender_previous
FROM (
    SELECT id, ROW_NUMBER() OVER sent AS sender_ordinal,
        COALESCE(LAG(ordinal) OVER sent, 0) AS sender_previous
    FROM messages
    WINDOW sent AS (PARTITION BY conversation_id, sender_id ORDER BY ordinal)) AS own
WHERE messages.id = own.id;

-- Every 64th message of a sender: from there it is not far to any other of theirs.
CREATE INDEX messages_of_sender ON messages (conversation_id, sender_id, ordinal)
    WHERE sender_ordinal % 64 = 0;
CREATE INDEX messages_deleted ON messages (conversation_id, ordinal, sender_id, deleted_at)
    WHERE deleted_at IS NOT NULL;

-- `place` orders those who take part: the first to come has the lowest. `sent` is the number of
-- messages that they wrote since they came, `last_sent` the number of the last of these, `read_sent`
-- how many of these are among what they have read: their own are not unread to them.
ALTER TABLE participants ADD COLUMN listed_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE participants ADD COLUMN place BIGINT NOT NULL DEFAULT 0;
ALTER TABLE participants ADD COLUMN sent BIGINT NOT NULL DEFAULT 0;
ALTER TABLE participants ADD COLUMN last_sent BIGINT NOT NULL DEFAULT 0;
ALTER TABLE participants ADD COLUMN read_sent BIGINT NOT NULL DEFAULT 0;

UPDATE participants SET listed_at = came.listed_at, place = came.place
FROM (
    SELECT p.conversation_id, p.user_id, c.listed_at, ROW_NUMBER() OVER (
        PARTITION BY p.conversation_id ORDER BY p.joined_at, p.user_id) AS place
    FROM participants p JOIN conversations c ON c.id = p.conversation_id) AS came
WHERE participants.conversation_id = came.conversation_id
    AND participants.user_id = came.user_id;

UPDATE participants SET
    sent = own.sent, last_sent = own.last_sent, read_sent = own.read_sent
FROM (
    SELECT m.conversation_id, m.sender_id, COUNT(*) AS sent, MAX(m.ordinal) AS last_sent,
        SUM(CASE WHEN m.ordinal <= p.last_read THEN 1 ELSE 0 END) AS read_sent
    FROM messages m JOIN participants p
        ON p.conversation_id = m.conversation_id AND p.user_id = m.sender_id
    GROUP BY m.conversation_id, m.sender_id) AS own
WHERE participants.conversation_id = own.conversation_id
    AND participants.user_id = own.sender_id;

DROP INDEX participants_by_user;
CREATE INDEX participants_by_activity ON participants (user_id, listed_at, conversation_id);
CREATE UNIQUE INDEX participants_by_place ON participants (conversation_id, place);

CREATE INDEX purchase_requests_of_buyer ON purchase_requests (buyer_id, status, id);
CREATE INDEX purchase_requests_of_seller ON purchase_requests (seller_id, status, id)
    WHERE seller_id IS NOT NULL;
CREATE INDEX purchase_requests_between ON purchase_requests (seller_id, buyer_id, id)
    WHERE seller_id IS NOT NULL;
CREATE INDEX purchase_requests_between_by_status
    ON purchase_requests (seller_id, buyer_id, status, id) WHERE seller_id IS NOT NULL;

-- Of an offer's request: whose it is, and whether it was called off while the offer waited.
ALTER TABLE offers ADD COLUMN buyer_id TEXT NOT NULL DEFAULT '';
ALTER TABLE offers ADD COLUMN called_off BIGINT NOT NULL DEFAULT 0;

UPDATE offers SET
    buyer_id = (SELECT r.buyer_id FROM purchase_requests r WHERE r.id = offers.request_id);
UPDATE offers SET called_off = 1
WHERE status = 'pending' AND EXISTS (
    SELECT 1 FROM purchase_requests r WHERE r.id = offers.request_id AND r.status = 'cancelled');

DROP INDEX offers_by_seller;
CREATE INDEX offers_of_seller ON offers (request_id, seller_id, id);
CREATE INDEX offers_waiting ON offers (seller_id, called_off, request_id)
    WHERE status = 'pending';
CREATE INDEX offers_waiting_between ON offers (seller_id, buyer_id, called_off, request_id)
    WHERE status = 'pending';

CREATE INDEX payments_of_buyer ON payments (request_id, buyer_id, id);
CREATE INDEX payments_of_seller ON payments (request_id, seller_id, id);

-- What runs when a process ends is found without a look at what is done.
CREATE INDEX idempotency_keys_running ON idempotency_keys (id) WHERE status IS NULL;

-- The different reactions to a message, without a look at every user's.
CREATE INDEX reactions_by_emoji ON reactions (message_id, emoji);
