-- The board of a window at a moment: the last one not later.
-- $1 organisation, $2 window, $3 at -> at, total_votes, voters, contestants, board
SELECT at, total_votes, voters, contestants, board
FROM board_snapshots
WHERE org_id = $1 AND window_id = $2 AND at <= $3
ORDER BY at DESC
LIMIT 1
