-- Voters who have votes in bundles that ended within a span of time, in order.
-- $1 organisation, $2 after this moment, $3 before this one, $4 voters after this one, $5 how many -> voter
SELECT c.voter
FROM wallet_credits c
JOIN wallet_entries e ON e.org_id = c.org_id AND e.voter = c.voter AND e.account = 'bundle' AND e.lot = c.credit_id::text
WHERE c.org_id = $1 AND c.expires_at > $2 AND c.expires_at < $3 AND c.voter > $4
GROUP BY c.voter
HAVING sum(e.votes) > 0
ORDER BY c.voter
LIMIT $5
