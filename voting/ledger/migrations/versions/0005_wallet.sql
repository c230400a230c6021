-- The wallet: votes that voters have bought, in double entry. Amounts are whole votes. What a frozen ruleset says is kept
-- with its window, and the zone in which a show's days begin with its episode.

-- Voters have the accounts `paid` and `bundle`; the house, whose voter is '', has the others.
CREATE TABLE wallet_accounts (
    org_id   text NOT NULL,
    voter    text NOT NULL,
    account  text NOT NULL CHECK (account IN ('paid', 'bundle', 'issued', 'cast', 'expired')),
    opened_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, voter, account),
    CHECK ((voter = '') = (account IN ('issued', 'cast', 'expired')))
);

-- Every credit by the idempotency key of whoever gave it.
CREATE TABLE wallet_credits (
    org_id      text NOT NULL,
    voter       text NOT NULL,
    key         text NOT NULL,
    credit_id   uuid NOT NULL,
    account     text NOT NULL CHECK (account IN ('paid', 'bundle')),
    votes       bigint NOT NULL CHECK (votes > 0),
    expires_at  timestamptz CHECK ((expires_at IS NOT NULL) = (account = 'bundle')),
    credited_at timestamptz NOT NULL,
    PRIMARY KEY (org_id, voter, key),
    UNIQUE (org_id, credit_id)
);
CREATE INDEX wallet_credits_by_expiry ON wallet_credits (org_id, expires_at) WHERE expires_at IS NOT NULL;

-- Append-only: what came to an account (positive) or left it. The entries of a transfer sum to nothing. A transfer has
-- the id of the vote it paid for, or of the credit whose votes came or expired; `lot` is the credit a bundle is of.
CREATE TABLE wallet_entries (
    org_id      text NOT NULL,
    entry_id    bigint GENERATED ALWAYS AS IDENTITY,
    transfer_id uuid NOT NULL,
    kind        text NOT NULL CHECK (kind IN ('credit', 'vote', 'expiry')),
    voter       text NOT NULL,
    account     text NOT NULL,
    lot         text NOT NULL,
    votes       bigint NOT NULL CHECK (votes <> 0),
    moved_at    timestamptz NOT NULL,
    PRIMARY KEY (org_id, transfer_id, kind, account, lot),
    FOREIGN KEY (org_id, voter, account) REFERENCES wallet_accounts
);
CREATE INDEX wallet_entries_by_voter ON wallet_entries (org_id, voter, entry_id) WHERE voter <> '';

CREATE FUNCTION house_account(kind text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT CASE kind WHEN 'credit' THEN 'issued' WHEN 'vote' THEN 'cast' WHEN 'expiry' THEN 'expired' END
$$;

CREATE FUNCTION refuse_unbalanced() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM added GROUP BY org_id, transfer_id, kind HAVING sum(votes) <> 0) THEN
        RAISE EXCEPTION 'entries of a transfer do not sum to nothing' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER wallet_entries_balanced AFTER INSERT ON wallet_entries REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_unbalanced();
CREATE TRIGGER wallet_entries_append_only BEFORE UPDATE OR DELETE ON wallet_entries
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER wallet_credits_append_only BEFORE UPDATE OR DELETE ON wallet_credits
    FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- `rules_text` is the canonical JSON whose SHA-256 is `rules_hash`; `show_id` to `season` are what else limits ask for.
ALTER TABLE windows
    ADD COLUMN rules_text text NOT NULL DEFAULT '',
    ADD COLUMN show_id    text NOT NULL DEFAULT '',
    ADD COLUMN timezone   text NOT NULL DEFAULT 'UTC',
    ADD COLUMN round      integer NOT NULL DEFAULT 0,
    ADD COLUMN season     text NOT NULL DEFAULT '';

ALTER TABLE episodes ADD COLUMN timezone text NOT NULL DEFAULT 'UTC';
