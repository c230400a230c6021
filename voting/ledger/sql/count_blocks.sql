-- Votes by window and contestant in a range of a partition's blocks, with an XOR of a hash of each whole row.
-- {votes} is the partition. $1 organisation, $2 first tid, $3 tid after the last
-- -> window_id, contestant_id, votes, ballots, digest
SELECT v.window_id, v.contestant_id, sum(v.vote_count::bigint * v.weight)::bigint AS votes, count(*) AS ballots,
       bit_xor(hash_record_extended(v, 0)) AS digest
FROM {votes} v
WHERE v.ctid >= $2::text::tid AND v.ctid < $3::text::tid AND v.org_id = $1
GROUP BY v.window_id, v.contestant_id
