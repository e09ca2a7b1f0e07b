-- How often somebody has changed what is kept of a webhook beside the process that delivers it, which
-- then reads it anew; and how it goes, as that process sees it.
ALTER TABLE webhook_progress ADD COLUMN changes BIGINT NOT NULL DEFAULT 0;
ALTER TABLE webhook_progress ADD COLUMN health TEXT;
