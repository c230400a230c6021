-- What a voter was credited with last.
-- $1 organisation, $2 voter, $3 how many -> key, votes, credited_at
SELECT key, votes, credited_at FROM wallet_credits
WHERE org_id = $1 AND voter = $2
ORDER BY credited_at DESC, credit_id DESC
LIMIT $3
