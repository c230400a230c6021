-- Keeps a board, unless there is one of its moment, and forgets those of its window that are a day older.
-- $1 organisation, $2 window, $3 at, $4 total, $5 voters, $6 contestants, $7 rows
WITH forgotten AS (
    DELETE FROM board_snapshots WHERE org_id = $1 AND window_id = $2 AND at <= $3::timestamptz - interval '24 hours'
)
INSERT INTO board_snapshots (org_id, window_id, at, total_votes, voters, contestants, board)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT DO NOTHING
