-- The times at which a window closed in the end, extensions and early closes included.
-- $1 organisation, $2 window, $3 closes, $4 hard close
UPDATE windows SET closes_at = $3, hard_closes_at = $4 WHERE org_id = $1 AND window_id = $2
