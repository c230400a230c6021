-- The result of a window.
-- $1 organisation, $2 window -> certified, total_votes, ledger_total, results, certificate, created_at
SELECT certified, total_votes, ledger_total, results, certificate, created_at
FROM results WHERE org_id = $1 AND window_id = $2
