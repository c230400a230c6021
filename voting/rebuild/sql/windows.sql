-- Windows that voters or screens may still ask about, oldest first, with their results.
-- $1 organisation, $2 the earliest hard close
SELECT w.window_id, w.episode_ref, w.opens_at, w.closes_at, w.hard_closes_at, w.ruleset, w.rules_hash, w.rules,
       w.contestants, w.rules_text, w.round, w.season, w.rehearsal, w.visibility,
       e.show_id, e.number AS episode, e.title, e.timezone,
       r.results, r.certified, r.total_votes, r.ledger_total, r.certificate,
       EXISTS (SELECT FROM releases s WHERE s.org_id = w.org_id AND s.window_id = w.window_id) AS released
FROM windows w
JOIN episodes e ON e.ref = w.episode_ref
LEFT JOIN results r ON r.org_id = w.org_id AND r.window_id = w.window_id
WHERE w.org_id = $1 AND w.hard_closes_at >= $2
ORDER BY w.opens_at, w.window_id
