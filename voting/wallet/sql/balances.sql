-- What the journal says is in the wallets of some voters, by account and lot; empty accounts and lots are left out.
-- $1 organisation, $2 voters, or null for all -> voter, account, lot, expires_at, votes
SELECT e.voter, e.account, e.lot, c.expires_at, sum(e.votes)::bigint AS votes
FROM wallet_entries e
LEFT JOIN wallet_credits c ON c.org_id = e.org_id AND e.account = 'bundle' AND c.credit_id = e.lot::uuid
WHERE e.org_id = $1 AND e.voter <> '' AND ($2::text[] IS NULL OR e.voter = ANY ($2))
GROUP BY e.voter, e.account, e.lot, c.expires_at
HAVING sum(e.votes) <> 0
ORDER BY e.voter, c.expires_at NULLS FIRST, e.lot
