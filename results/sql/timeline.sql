-- The boards of a window after a moment, oldest first, each with its best three.
-- $1 organisation, $2 window, $3 after, $4 how many -> at, total_votes, voters, leaders
SELECT at, total_votes, voters, jsonb_path_query_array(board, '$[0 to 2]') AS leaders
FROM board_snapshots
WHERE org_id = $1 AND window_id = $2 AND at > $3
ORDER BY at
LIMIT $4
