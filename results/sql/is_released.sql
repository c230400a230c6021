-- Whether a result is noted as public.
-- $1 organisation, $2 window
SELECT EXISTS (SELECT FROM releases WHERE org_id = $1 AND window_id = $2)
