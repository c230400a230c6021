-- One cue record; a record that is there already stays as it is.
-- $1 org_id $2 stream_id $3 show_id $4 cue_id $5 event $6 asked_by $7 asked_at $8 executed_at $9 outcome
-- $10 message $11 revision $12 lateness_ms $13 timecode $14 data $15 mode $16 due_at
INSERT INTO cue_log (org_id, stream_id, show_id, cue_id, event, asked_by, asked_at, executed_at, outcome,
                     message, revision, lateness_ms, timecode, data, mode, due_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14::jsonb, $15, $16)
ON CONFLICT (org_id, stream_id) DO NOTHING
