-- Who stands behind the scores of a window: different voters, and when the last vote came; voided votes left out.
-- $1 organisation, $2 window, $3 contestants -> contestant_id, voters, last_ms
SELECT contestant_id, count(DISTINCT voter)::int AS voters,
       (extract(epoch FROM max(received_at)) * 1000)::bigint AS last_ms
FROM votes v
WHERE org_id = $1 AND window_id = $2 AND contestant_id = ANY ($3::text[])
  AND episode_ref = (SELECT episode_ref FROM windows WHERE org_id = $1 AND window_id = $2)
  AND NOT EXISTS (SELECT FROM voids d WHERE d.episode_ref = v.episode_ref AND d.vote_id = v.vote_id)
GROUP BY contestant_id
