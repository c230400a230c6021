-- $1 org_id
INSERT INTO organisations (org_id, name) VALUES ($1, $1) ON CONFLICT (org_id) DO NOTHING
