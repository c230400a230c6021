-- The episode of a window the ledger knows.
-- $1 organisation, $2 window -> episode_ref
SELECT episode_ref FROM windows WHERE org_id = $1 AND window_id = $2
