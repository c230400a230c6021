-- A voter's ballots, newest first: vote ids are in order of time. Voided ones stay, and say so.
-- $1 organisation, $2 voter, $3 only those before this vote (null: from the newest), $4 how many
-- -> vote_id, vote_type, vote_count, received_at, voided, contestant_id, name, photo_url, ref, title, number
-- Materialized, so that the index by voter is what is used: the key backwards, until enough are found, may be all of it.
WITH mine AS MATERIALIZED (
    SELECT * FROM votes WHERE org_id = $1 AND voter = $2 AND ($3::uuid IS NULL OR vote_id < $3)
)
SELECT v.vote_id, v.vote_type, v.vote_count, v.received_at,
       EXISTS (SELECT FROM voids d WHERE d.episode_ref = v.episode_ref AND d.vote_id = v.vote_id) AS voided,
       v.contestant_id, c.name, c.photo_url, e.ref, e.title, e.number
FROM (SELECT * FROM mine ORDER BY vote_id DESC LIMIT $4) v
JOIN episodes e ON e.ref = v.episode_ref
LEFT JOIN contestants c
    ON c.org_id = e.org_id AND c.show_id = e.show_id AND c.episode = e.number AND c.contestant_id = v.contestant_id
ORDER BY v.vote_id DESC
