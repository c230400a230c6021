-- Notes that a result is public, if it is stored.
-- $1 organisation, $2 window
INSERT INTO releases (org_id, window_id)
SELECT org_id, window_id FROM results WHERE org_id = $1 AND window_id = $2
ON CONFLICT DO NOTHING
