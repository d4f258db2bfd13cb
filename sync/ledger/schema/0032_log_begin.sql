-- What was accepted before the logs were there stands in them as one leaf a device: its head, which is chained to all.
INSERT INTO log_leaf (school, log, leaf, device)
SELECT school, 'events',
       convert_to(format(E'canteen batch v1\n%s\n%s\n%s\n%s\n', device, epoch, seq, encode(hash, 'hex')), 'UTF8'), device
FROM head
WHERE epoch <> '' AND NOT EXISTS (
    SELECT 1 FROM log_leaf l WHERE l.school = head.school AND l.log = 'events' AND l.device = head.device
)
ORDER BY school, device;
