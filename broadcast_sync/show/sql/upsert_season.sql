-- $1 org_id $2 season_id $3 title
INSERT INTO seasons (org_id, season_id, title) VALUES ($1, $2, $3)
ON CONFLICT (org_id, season_id) DO UPDATE SET title = excluded.title
