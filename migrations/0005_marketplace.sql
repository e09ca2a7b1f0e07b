-- Purchase requests. Their row is held by every unit that changes the request, its offers or its
-- delivery. Amounts are decimals as text. `code_hash` is of the delivery code, `code_tries` how often
-- the buyer may still try it.
CREATE TABLE purchase_requests (
    id TEXT NOT NULL PRIMARY KEY,
    buyer_id TEXT NOT NULL,
    title TEXT NOT NULL,
    description TEXT NOT NULL,
    budget_amount TEXT NOT NULL,
    budget_currency TEXT NOT NULL,
    category TEXT,
    metadata TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN
        ('open', 'accepted', 'paid', 'shipped', 'delivered', 'completed', 'cancelled')),
    accepted_offer_id TEXT,
    seller_id TEXT,
    payment_id TEXT,
    paid_amount TEXT,
    paid_currency TEXT,
    cancel_reason TEXT,
    delivery_status TEXT,
    carrier TEXT,
    tracking_number TEXT,
    code_hash BYTEA,
    code_tries BIGINT NOT NULL,
    delivered_at BIGINT,
    buyer_confirmed_at BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE INDEX purchase_requests_by_buyer ON purchase_requests (buyer_id, id);
CREATE INDEX purchase_requests_by_seller ON purchase_requests (seller_id, id);
CREATE INDEX purchase_requests_by_status ON purchase_requests (status, id);

-- Offers: of each seller one at a time waits for the buyer's decision, and of each request one is
-- accepted.
CREATE TABLE offers (
    id TEXT NOT NULL PRIMARY KEY,
    request_id TEXT NOT NULL REFERENCES purchase_requests (id),
    seller_id TEXT NOT NULL,
    amount TEXT NOT NULL,
    currency TEXT NOT NULL,
    message TEXT,
    delivery_days BIGINT,
    status TEXT NOT NULL CHECK (status IN ('pending', 'accepted', 'rejected', 'withdrawn')),
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE UNIQUE INDEX offers_pending ON offers (request_id, seller_id) WHERE status = 'pending';
CREATE UNIQUE INDEX offers_accepted ON offers (request_id) WHERE status = 'accepted';
CREATE INDEX offers_by_request ON offers (request_id, id);
CREATE INDEX offers_by_seller ON offers (seller_id, request_id);

-- Checkouts over several requests of one buyer.
CREATE TABLE checkouts (
    id TEXT NOT NULL PRIMARY KEY,
    buyer_id TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('open', 'pending', 'confirmed', 'failed')),
    payment_id TEXT,
    reason TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TABLE checkout_requests (
    checkout_id TEXT NOT NULL REFERENCES checkouts (id),
    position BIGINT NOT NULL,
    request_id TEXT NOT NULL REFERENCES purchase_requests (id),
    PRIMARY KEY (checkout_id, position),
    UNIQUE (checkout_id, request_id)
);
