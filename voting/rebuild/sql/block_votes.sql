-- Votes of a range of a partition's blocks in the order in which they were written. {votes} is the partition.
-- $1 organisation, $2 first tid, $3 tid after the last
SELECT v.window_id, v.shard, v.vote_id, v.voter, v.contestant_id, v.vote_type, v.vote_count, v.weight, v.client_id,
       v.received_at
FROM {votes} v
WHERE v.ctid >= $2::text::tid AND v.ctid < $3::text::tid AND v.org_id = $1
ORDER BY v.ctid
