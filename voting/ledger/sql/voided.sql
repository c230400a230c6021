-- Voided votes of a window by contestant.
-- $1 organisation, $2 window -> contestant_id, votes
SELECT contestant_id, sum(votes)::bigint AS votes FROM voids WHERE org_id = $1 AND window_id = $2 GROUP BY contestant_id
