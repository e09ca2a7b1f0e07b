-- From a buyer to the sellers of their requests, and to those whose offers wait.
CREATE INDEX purchase_requests_from_buyer ON purchase_requests (buyer_id, seller_id)
    WHERE seller_id IS NOT NULL;
CREATE INDEX offers_waiting_for_buyer ON offers (buyer_id, seller_id) WHERE status = 'pending';
