-- How many different voters a window has, voided votes left out.
-- $1 organisation, $2 window, $3 episode's ref
SELECT count(DISTINCT voter)
FROM votes v
WHERE v.org_id = $1 AND v.episode_ref = $3 AND v.window_id = $2
  AND NOT EXISTS (SELECT FROM voids d WHERE d.episode_ref = v.episode_ref AND d.vote_id = v.vote_id)
