-- What a sender gave with a message beside its text and files: a JSON object, none where there is
-- nothing. It goes when the message is deleted.
ALTER TABLE messages ADD COLUMN metadata TEXT;
