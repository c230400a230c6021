-- The contestants of an episode who have votes and are not in a list.
-- $1 org_id $2 show_id $3 episode $4 ref $5 the list of contestant ids
SELECT contestant_id FROM contestants AS c
WHERE org_id = $1 AND show_id = $2 AND episode = $3 AND contestant_id <> ALL ($5::text[])
  AND EXISTS (SELECT FROM votes AS v WHERE v.episode_ref = $4 AND v.contestant_id = c.contestant_id)
ORDER BY number
