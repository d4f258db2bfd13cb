-- News that has arrived is not kept: its row alone says that it was told.
UPDATE webhook_delivery SET body = '' WHERE delivered_at IS NOT NULL;
