-- A window's votes by shard, contestant and type, and what of them is voided.
-- $1 organisation, $2 window, $3 episode ref -> shard, contestant_id, vote_type, votes, voided
SELECT shard, contestant_id, vote_type, sum(votes)::bigint AS votes, sum(voided)::bigint AS voided
FROM (
    SELECT v.shard, v.contestant_id, v.vote_type, v.vote_count::bigint * v.weight AS votes, 0 AS voided
    FROM votes v WHERE v.episode_ref = $3 AND v.org_id = $1 AND v.window_id = $2
    UNION ALL
    SELECT d.shard, d.contestant_id, d.vote_type, 0, d.votes FROM voids d WHERE d.org_id = $1 AND d.window_id = $2
) counted
GROUP BY shard, contestant_id, vote_type
