-- A credit by its idempotency key; no row back means that the voter has had it already.
-- $1 organisation, $2 voter, $3 key, $4 credit id, $5 account, $6 votes, $7 expiry or null, $8 when -> credit_id
INSERT INTO wallet_credits (org_id, voter, key, credit_id, account, votes, expires_at, credited_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (org_id, voter, key) DO NOTHING
RETURNING credit_id
