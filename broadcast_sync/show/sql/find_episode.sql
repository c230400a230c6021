-- $1 org_id $2 show_id $3 number
SELECT ref, title, timezone FROM episodes WHERE org_id = $1 AND show_id = $2 AND number = $3
