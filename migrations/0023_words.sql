-- A notification may have the names or words of two people, such as the buyer's of what is bought and
-- the seller's of how it comes: with those of either it goes.
ALTER TABLE notification_contents ADD COLUMN also_words_of TEXT;

CREATE INDEX notification_contents_of_other_words ON notification_contents (also_words_of, id)
    WHERE also_words_of IS NOT NULL;
