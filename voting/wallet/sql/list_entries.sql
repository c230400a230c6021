-- A voter's entries, newest first.
-- $1 organisation, $2 voter, $3 before this entry id, $4 how many
-- -> entry_id, transfer_id, kind, account, lot, votes, moved_at
SELECT entry_id, transfer_id, kind, account, lot, votes, moved_at FROM wallet_entries
WHERE org_id = $1 AND voter = $2 AND entry_id < $3
ORDER BY entry_id DESC
LIMIT $4
