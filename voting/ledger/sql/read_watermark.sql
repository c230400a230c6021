-- Where a shard's writer stands; a shard seen for the first time starts before its first entry.
-- $1 organisation, $2 stream -> last_id, votes
WITH made AS (
    INSERT INTO watermarks (org_id, stream) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING last_id, votes
)
SELECT last_id, votes FROM made
UNION ALL
SELECT last_id, votes FROM watermarks WHERE org_id = $1 AND stream = $2
LIMIT 1
