-- The decided slots of a season; of one that was voted on twice, the later window.
-- $1 organisation, $2 season -> slot, slots, show_id, episode, window_id, contestant_id, contestant_name, score,
-- decided_by, decided_at
SELECT DISTINCT ON (slot) slot, slots, show_id, episode, window_id, contestant_id, contestant_name, score, decided_by,
       decided_at
FROM slots WHERE org_id = $1 AND season = $2
ORDER BY slot, decided_at DESC
