-- $1 org_id $2 season_id $3 show_id $4 number $5 title $6 time zone; returns the episode's ref
INSERT INTO episodes (org_id, season_id, show_id, number, title, timezone) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (org_id, show_id, number) DO UPDATE
SET season_id = excluded.season_id, title = excluded.title, timezone = excluded.timezone
RETURNING ref
