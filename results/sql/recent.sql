-- The newest ballots of a window after a given one, by the votes' own key: their ids grow with time.
-- $1 organisation, $2 episode's ref, $3 window, $4 the ballot before them, $5 how many
--   -> vote_id, voter, contestant_id, vote_type, vote_count, received_at
SELECT vote_id, voter, contestant_id, vote_type, vote_count, received_at
FROM votes
WHERE episode_ref = $2 AND vote_id > $4 AND org_id = $1 AND window_id = $3
ORDER BY vote_id DESC
LIMIT $5
