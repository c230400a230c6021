-- Every watermark of an organisation.
-- $1 organisation -> stream, last_id, entries, votes
SELECT stream, last_id, entries, votes FROM watermarks WHERE org_id = $1
