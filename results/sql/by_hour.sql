-- A window's votes by type and hour, voided ones left out.
-- $1 organisation, $2 window, $3 episode's ref -> vote_type, hour, votes
SELECT v.vote_type, date_trunc('hour', v.received_at, 'UTC') AS hour, sum(v.vote_count::bigint * v.weight)::bigint AS votes
FROM votes v
WHERE v.org_id = $1 AND v.episode_ref = $3 AND v.window_id = $2
  AND NOT EXISTS (SELECT FROM voids d WHERE d.episode_ref = v.episode_ref AND d.vote_id = v.vote_id)
GROUP BY v.vote_type, hour
ORDER BY hour
