-- Votes that do not count any more; one that is voided already stays as it is.
-- $1 organisation, $2 episode ref, $3 window, $4 shard, $5 reason, $6 by, $7 approved by, $8 when,
-- $9 vote ids, $10 contestants, $11 vote types, $12 weighted votes
INSERT INTO voids (org_id, episode_ref, vote_id, window_id, shard, contestant_id, vote_type, votes, reason, voided_by,
                   approved_by, voided_at)
SELECT $1, $2, vote.id, $3, $4, vote.contestant, vote.kind, vote.votes, $5, $6, $7, $8
FROM unnest($9::uuid[], $10::text[], $11::text[], $12::bigint[]) AS vote (id, contestant, kind, votes)
ON CONFLICT DO NOTHING
