-- Stores a result unless the window has one: the first stays for ever.
-- $1 organisation, $2 window, $3 certified, $4 total, $5 ledger total, $6 rows, $7 certificate
INSERT INTO results (org_id, window_id, certified, total_votes, ledger_total, results, certificate)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT DO NOTHING
