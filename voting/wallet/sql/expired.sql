-- Voters who have votes in bundles that ended before a moment.
-- $1 organisation, $2 the moment, $3 how many -> voter
SELECT DISTINCT c.voter
FROM wallet_credits c
JOIN wallet_entries e ON e.org_id = c.org_id AND e.voter = c.voter AND e.account = 'bundle' AND e.lot = c.credit_id::text
WHERE c.org_id = $1 AND c.expires_at < $2
GROUP BY c.voter, c.credit_id
HAVING sum(e.votes) > 0
LIMIT $3
