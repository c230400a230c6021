-- Everything a certificate says of a window's votes, counted row by row: what was accepted, what of it was voided.
-- $1 organisation, $2 window -> contestant_id, vote_type, ballots, votes, voided_ballots, voided, first_at, last_at
SELECT contestant_id, vote_type, sum(ballots)::bigint AS ballots, sum(votes)::bigint AS votes,
       sum(voided_ballots)::bigint AS voided_ballots, sum(voided)::bigint AS voided,
       min(first_at) AS first_at, max(last_at) AS last_at
FROM (
    SELECT v.contestant_id, v.vote_type, count(*) AS ballots, sum(v.vote_count::bigint * v.weight) AS votes,
           0 AS voided_ballots, 0 AS voided, min(v.received_at) AS first_at, max(v.received_at) AS last_at
    FROM votes v
    WHERE v.episode_ref = (SELECT w.episode_ref FROM windows w WHERE w.org_id = $1 AND w.window_id = $2)
      AND v.org_id = $1 AND v.window_id = $2
    GROUP BY v.contestant_id, v.vote_type
    UNION ALL
    SELECT d.contestant_id, d.vote_type, 0, 0, count(*), sum(d.votes), NULL, NULL
    FROM voids d
    WHERE d.org_id = $1 AND d.window_id = $2
    GROUP BY d.contestant_id, d.vote_type
) counted
GROUP BY contestant_id, vote_type
