-- The slots of a season that are decided. $1 organisation, $2 season
SELECT slot, window_id, coalesce(contestant_id, '') AS contestant_id, score, decided_by
FROM slots WHERE org_id = $1 AND season = $2 ORDER BY slot
