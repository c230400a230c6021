-- A window as it was opened; every shard's stream tells of it, the first one writes it.
-- $1 organisation, $2 window, $3 episode ref, $4 opens, $5 closes, $6 hard close, $7 ruleset, $8 hash, $9 rules,
-- $10 contestants, $11 canonical rules, $12 show, $13 time zone, $14 round, $15 season, $16 rehearsal,
-- $17 visibility
INSERT INTO windows (org_id, window_id, episode_ref, opens_at, closes_at, hard_closes_at, ruleset, rules_hash, rules,
                     contestants, rules_text, show_id, timezone, round, season, rehearsal, visibility)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
ON CONFLICT DO NOTHING
