-- The episode that an event's number stands for.
-- $1 organisation, $2 episode's ref -> show_id, number
SELECT show_id, number FROM episodes WHERE org_id = $1 AND ref = $2
