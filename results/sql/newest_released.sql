-- The newest public result of an episode: noted as released, or one that has just been ($3, may be null).
-- $1 organisation, $2 episode's ref -> window_id, title, contestants
SELECT r.window_id, e.title, w.contestants
FROM results r
JOIN windows w ON w.org_id = r.org_id AND w.window_id = r.window_id
JOIN episodes e ON e.ref = w.episode_ref
WHERE r.org_id = $1 AND w.episode_ref = $2 AND (r.window_id = $3::uuid OR EXISTS (
    SELECT FROM releases s WHERE s.org_id = r.org_id AND s.window_id = r.window_id
))
ORDER BY r.created_at DESC, r.window_id DESC
LIMIT 1
