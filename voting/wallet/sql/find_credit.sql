-- The credit that a voter had under a key.
-- $1 organisation, $2 voter, $3 key -> credit_id, account, votes, expires_at
SELECT credit_id, account, votes, expires_at FROM wallet_credits WHERE org_id = $1 AND voter = $2 AND key = $3
