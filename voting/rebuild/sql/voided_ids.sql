-- The ids of a window's voided votes. $1 organisation, $2 window -> shard, vote_id
SELECT shard, vote_id FROM voids WHERE org_id = $1 AND window_id = $2
