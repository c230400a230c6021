-- $1 org_id $2 show_id $3 episode. Numbers may be swapped between contestants, so all make room first.
DELETE FROM contestants WHERE org_id = $1 AND show_id = $2 AND episode = $3
