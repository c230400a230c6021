-- What a voter was credited with last. Two credits of one millisecond stand as the journal has them.
-- $1 organisation, $2 voter, $3 how many -> key, votes, credited_at
SELECT c.key, c.votes, c.credited_at
FROM wallet_credits c
JOIN wallet_entries e ON e.org_id = c.org_id AND e.transfer_id = c.credit_id AND e.kind = 'credit'
    AND e.voter = c.voter AND e.account = c.account
WHERE c.org_id = $1 AND c.voter = $2
ORDER BY e.entry_id DESC
LIMIT $3
