-- Moves a watermark on if it is still where its reader saw it; no row back means another writer is ahead.
-- $1 organisation, $2 stream, $3 id read, $4 new id, $5 entries, $6 rows written -> votes
UPDATE watermarks SET last_id = $4, entries = entries + $5, votes = votes + $6
WHERE org_id = $1 AND stream = $2 AND last_id = $3
RETURNING votes
