-- $1 org_id $2 show_id $3 episode
SELECT contestant_id, number, name, photo_url, status, khmer_name, hometown, category FROM contestants
WHERE org_id = $1 AND show_id = $2 AND episode = $3
ORDER BY performance_order, number
