-- The public results of an organisation, newest first, with those who lead: those noted as released, and one that has
-- just been ($3, may be null).
-- $1 organisation, $2 how many -> window_id, certified, total_votes, ledger_total, certificate, leaders, created_at
SELECT window_id, certified, total_votes, ledger_total, certificate, created_at,
       jsonb_path_query_array(results, '$[*] ? (@.rank == 1)') AS leaders
FROM results r
WHERE org_id = $1 AND (window_id = $3::uuid OR EXISTS (
    SELECT FROM releases s WHERE s.org_id = r.org_id AND s.window_id = r.window_id
))
ORDER BY created_at DESC, window_id DESC
LIMIT $2
