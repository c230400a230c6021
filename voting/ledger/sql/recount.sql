-- Counts a window's votes again, row by row, and takes the voided ones off.
-- $1 organisation, $2 window -> contestant_id, votes (0 where all were voided)
SELECT contestant_id, sum(votes)::bigint AS votes
FROM (
    SELECT v.contestant_id, sum(v.vote_count::bigint * v.weight) AS votes
    FROM votes v
    WHERE v.episode_ref = (SELECT w.episode_ref FROM windows w WHERE w.org_id = $1 AND w.window_id = $2)
      AND v.org_id = $1 AND v.window_id = $2
    GROUP BY v.contestant_id
    UNION ALL
    SELECT d.contestant_id, -sum(d.votes)
    FROM voids d
    WHERE d.org_id = $1 AND d.window_id = $2
    GROUP BY d.contestant_id
) counted
GROUP BY contestant_id
