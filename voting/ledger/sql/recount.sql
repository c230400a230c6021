-- Counts a window's votes again, row by row.
-- $1 organisation, $2 window -> contestant_id, votes
SELECT v.contestant_id, sum(v.vote_count::bigint * v.weight)::bigint AS votes
FROM votes v
WHERE v.episode_ref = (SELECT w.episode_ref FROM windows w WHERE w.org_id = $1 AND w.window_id = $2)
  AND v.org_id = $1 AND v.window_id = $2
GROUP BY v.contestant_id
