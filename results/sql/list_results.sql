-- The results of an organisation, newest first, with those who lead; without the one under embargo ($3, may be null).
-- $1 organisation, $2 how many -> window_id, certified, total_votes, ledger_total, certificate, leaders, created_at
SELECT window_id, certified, total_votes, ledger_total, certificate, created_at,
       jsonb_path_query_array(results, '$[*] ? (@.rank == 1)') AS leaders
FROM results
WHERE org_id = $1 AND window_id IS DISTINCT FROM $3::uuid
ORDER BY created_at DESC, window_id DESC
LIMIT $2
