-- How far each webhook has been told, by its name: all up to a position has been delivered, or waits in
-- webhook_deliveries. One that its backend has turned off has a time.
CREATE TABLE webhook_progress (
    name TEXT NOT NULL PRIMARY KEY,
    position BIGINT NOT NULL,
    off_at BIGINT
);

-- What could not be delivered, and what waits behind that, in the same stream: which event, not what it
-- says. What is to be tried has a time; what waits for its turn has none; what was put aside has the time
-- when that was. `sent` is how many of its calls have been answered. A row goes with the delivery, or
-- when the event is too old to be replayed.
CREATE TABLE webhook_deliveries (
    webhook TEXT NOT NULL,
    position BIGINT NOT NULL,
    stream TEXT NOT NULL,
    seq BIGINT NOT NULL,
    event TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    sent BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    tried_at BIGINT,
    next_at BIGINT,
    aside_at BIGINT,
    reason TEXT,
    PRIMARY KEY (webhook, position)
);

CREATE INDEX webhook_deliveries_to_try ON webhook_deliveries (webhook, next_at)
    WHERE next_at IS NOT NULL;
CREATE INDEX webhook_deliveries_put_aside ON webhook_deliveries (webhook, aside_at, position)
    WHERE aside_at IS NOT NULL;

-- Which streams wait for what: the lowest of each is the one that is tried.
CREATE TABLE webhook_streams (
    webhook TEXT NOT NULL,
    stream TEXT NOT NULL,
    position BIGINT NOT NULL,
    PRIMARY KEY (webhook, stream, position)
);

CREATE INDEX webhook_streams_by_position ON webhook_streams (webhook, position);

-- Of whom webhooks were told that they came, and not yet that they went.
CREATE TABLE users_online (
    user_id TEXT NOT NULL PRIMARY KEY
);
