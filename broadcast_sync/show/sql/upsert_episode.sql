-- $1 org_id $2 season_id $3 show_id $4 number $5 title; returns the episode's ref
INSERT INTO episodes (org_id, season_id, show_id, number, title) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (org_id, show_id, number) DO UPDATE SET season_id = excluded.season_id, title = excluded.title
RETURNING ref
