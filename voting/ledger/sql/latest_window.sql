-- The window that opened last.
-- $1 organisation -> window_id
SELECT window_id FROM windows WHERE org_id = $1 ORDER BY opens_at DESC, window_id DESC LIMIT 1
