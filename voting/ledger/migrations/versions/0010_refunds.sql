-- A voided vote that a wallet paid for comes back to it: a transfer from what was cast, under the id of the vote.
ALTER TABLE wallet_entries DROP CONSTRAINT wallet_entries_kind_check;
ALTER TABLE wallet_entries
    ADD CONSTRAINT wallet_entries_kind_check CHECK (kind IN ('credit', 'vote', 'expiry', 'refund'));

CREATE OR REPLACE FUNCTION house_account(kind text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT CASE kind
        WHEN 'credit' THEN 'issued' WHEN 'vote' THEN 'cast' WHEN 'refund' THEN 'cast' WHEN 'expiry' THEN 'expired'
    END
$$;
