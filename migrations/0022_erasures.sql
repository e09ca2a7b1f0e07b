-- Users whose data is to be erased, each kept until that is done: what was begun goes on after a
-- restart. Asked again in between, it is done again.
CREATE TABLE erasures (
    user_id TEXT NOT NULL PRIMARY KEY,
    asked_at BIGINT NOT NULL
);

-- From a user to what is kept of them, where no other list needed that.
CREATE INDEX conversations_by_creator ON conversations (created_by, id);
CREATE INDEX messages_by_sender ON messages (sender_id, id);
CREATE INDEX reactions_by_user ON reactions (user_id, message_id, emoji);
CREATE INDEX grants_by_user ON grants (user_id, room);
CREATE INDEX offers_by_seller ON offers (seller_id, id);
CREATE INDEX checkouts_by_buyer ON checkouts (buyer_id, id);
CREATE INDEX payouts_by_seller ON payouts (seller_id, id);

-- Whose names or words a notification has: with them it says nothing any more.
ALTER TABLE notification_contents ADD COLUMN words_of TEXT;

CREATE INDEX notification_contents_of_words ON notification_contents (words_of, id)
    WHERE words_of IS NOT NULL;
