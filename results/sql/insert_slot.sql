-- Stores who won a slot, unless its window has been decided: the first stays for ever.
-- $1 organisation, $2 window, $3 season, $4 slot, $5 slots, $6 show, $7 episode, $8 winner, $9 name, $10 score, $11 by
INSERT INTO slots (org_id, window_id, season, slot, slots, show_id, episode, contestant_id, contestant_name, score,
                   decided_by)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
ON CONFLICT DO NOTHING
