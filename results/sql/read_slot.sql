-- Who won the slot of a window.
-- $1 organisation, $2 window -> slot, contestant_id, score, decided_by
SELECT slot, contestant_id, score, decided_by FROM slots WHERE org_id = $1 AND window_id = $2
