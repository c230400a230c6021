-- Votes by id or by voter, within one window or in all; null means any.
-- $1 organisation, $2 vote ids, $3 voters, $4 window
-- -> vote_id, window_id, shard, voter, contestant_id, vote_type, votes (weighted), voided,
--    paid (JSON [[account, lot, votes, expiry in Unix ms or 0], ...] of what a wallet paid, else null)
SELECT v.vote_id, v.window_id, v.shard, v.voter, v.contestant_id, v.vote_type,
       v.vote_count::bigint * v.weight AS votes, d.vote_id IS NOT NULL AS voided,
       (SELECT json_agg(json_build_array(
                   e.account, e.lot, -e.votes, coalesce(round(extract(epoch FROM c.expires_at) * 1000), 0)::bigint
               ) ORDER BY e.entry_id)
        FROM wallet_entries e
        LEFT JOIN wallet_credits c
          ON c.org_id = e.org_id AND c.credit_id = CASE WHEN e.account = 'bundle' THEN e.lot::uuid END
        WHERE e.org_id = v.org_id AND e.transfer_id = v.vote_id AND e.kind = 'vote' AND e.voter <> '') AS paid
FROM votes v
LEFT JOIN voids d ON d.episode_ref = v.episode_ref AND d.vote_id = v.vote_id
WHERE v.org_id = $1
  AND ($2::uuid[] IS NULL OR v.vote_id = ANY ($2))
  AND ($3::text[] IS NULL OR v.voter = ANY ($3))
  AND ($4::uuid IS NULL OR v.window_id = $4)
ORDER BY v.vote_id
