-- $1 org_id $2 show_id $3 episode $4 contestant_id $5 number $6 name $7 khmer_name $8 photo_url $9 hometown
-- $10 category $11 performance_order $12 status
INSERT INTO contestants (org_id, show_id, episode, contestant_id, number, name, khmer_name, photo_url, hometown,
                         category, performance_order, status)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
