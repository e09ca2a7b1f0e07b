-- What a notification says, once for however many users are told. `told` is how many of them have
-- been, `kept` how many still have it or are to get it. `request_key` names the request of one that
-- is told in several units, so that it is not begun twice.
CREATE TABLE notification_contents (
    id TEXT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    title TEXT NOT NULL,
    body TEXT NOT NULL,
    data TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    told BIGINT NOT NULL,
    kept BIGINT NOT NULL,
    request_key BYTEA
);

CREATE INDEX notification_contents_by_age ON notification_contents (created_at);
CREATE UNIQUE INDEX notification_contents_of_request ON notification_contents (request_key)
    WHERE request_key IS NOT NULL;

-- Where each user stands: the number of their last notification, how many are unread, and up to
-- which number they have read all.
CREATE TABLE notification_inboxes (
    user_id TEXT NOT NULL PRIMARY KEY,
    last_ordinal BIGINT NOT NULL,
    unread BIGINT NOT NULL,
    read_upto BIGINT NOT NULL
);

-- Each user's notifications, numbered in the order in which they heard of them. `read_at` is when
-- one was read by itself; what was read with all others is told by `notification_reads`. `topic` is
-- what it is about, where one that is unread is enough.
CREATE TABLE notifications (
    user_id TEXT NOT NULL,
    ordinal BIGINT NOT NULL,
    id TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    read_at BIGINT,
    topic TEXT,
    PRIMARY KEY (user_id, ordinal)
);

CREATE UNIQUE INDEX notifications_by_id ON notifications (id, user_id);
CREATE INDEX notifications_by_age ON notifications (created_at);
CREATE INDEX notifications_of_topic ON notifications (user_id, topic, ordinal)
    WHERE topic IS NOT NULL AND read_at IS NULL;
CREATE INDEX notifications_unread ON notifications (user_id, ordinal) WHERE read_at IS NULL;

-- When a user read all up to a number, however many those were.
CREATE TABLE notification_reads (
    user_id TEXT NOT NULL,
    upto BIGINT NOT NULL,
    read_at BIGINT NOT NULL,
    PRIMARY KEY (user_id, upto)
);

CREATE INDEX notification_reads_by_age ON notification_reads (read_at);
