-- Both sides of some transfers.
-- $1 organisation, $2 transfer ids, $3 kinds, $4 voters, $5 accounts, $6 lots, $7 votes for the voter, $8 times
INSERT INTO wallet_entries (org_id, transfer_id, kind, voter, account, lot, votes, moved_at)
SELECT $1, t.transfer_id, t.kind, side.voter, side.account, t.lot, side.votes, t.moved_at
FROM unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::timestamptz[])
    WITH ORDINALITY AS t (transfer_id, kind, voter, account, lot, votes, moved_at, place)
CROSS JOIN LATERAL (VALUES (t.voter, t.account, t.votes), ('', house_account(t.kind), -t.votes))
    AS side (voter, account, votes)
ORDER BY t.place
