-- Opens the accounts of some transfers that are not open yet, always in the same order.
-- $1 organisation, $2 kinds, $3 voters, $4 accounts
INSERT INTO wallet_accounts (org_id, voter, account)
SELECT DISTINCT $1, side.voter, side.account
FROM unnest($2::text[], $3::text[], $4::text[]) AS t (kind, voter, account)
CROSS JOIN LATERAL (VALUES (t.voter, t.account), ('', house_account(t.kind))) AS side (voter, account)
ORDER BY 2, 3
ON CONFLICT DO NOTHING
