-- The cues that were executed since a show was last started, that start included, oldest first.
-- $1 organisation -> event, data, executed_at, revision
SELECT event, data, executed_at, revision
FROM cue_log
WHERE org_id = $1 AND outcome = 'executed' AND revision >= coalesce((
    SELECT max(revision) FROM cue_log WHERE org_id = $1 AND outcome = 'executed' AND event = 'SHOW_START'
), 0)
ORDER BY revision, executed_at
