-- What a voter has cast in an episode, by type; voided votes left out.
-- $1 organisation, $2 episode's ref, $3 voter -> vote_type, votes
SELECT v.vote_type, sum(v.vote_count)::bigint AS votes
FROM votes v
WHERE v.org_id = $1 AND v.episode_ref = $2 AND v.voter = $3
  AND NOT EXISTS (SELECT FROM voids d WHERE d.episode_ref = v.episode_ref AND d.vote_id = v.vote_id)
GROUP BY v.vote_type
