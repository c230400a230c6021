-- Voids, and partitions that are made without stopping anybody.

-- A vote that does not count any more, and why. The vote itself stays; a count is votes minus voids. `votes` are weighted.
CREATE TABLE voids (
    org_id        text NOT NULL,
    episode_ref   integer NOT NULL,
    vote_id       uuid NOT NULL,
    window_id     uuid NOT NULL,
    shard         smallint NOT NULL,
    contestant_id text NOT NULL,
    vote_type     text NOT NULL,
    votes         bigint NOT NULL CHECK (votes > 0),
    reason        text NOT NULL,
    voided_by     text NOT NULL,
    approved_by   text,
    voided_at     timestamptz NOT NULL,
    PRIMARY KEY (episode_ref, vote_id)
);
CREATE INDEX voids_by_window ON voids (org_id, window_id);

CREATE TRIGGER voids_append_only BEFORE UPDATE OR DELETE ON voids
    FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- Makes the votes partition of an episode if it is missing. The table is made alone and then attached, which needs no
-- lock that votes being written, or counted, would have to wait for.
CREATE FUNCTION make_votes_partition(ref integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    name text := 'votes_' || ref;
BEGIN
    IF to_regclass(name) IS NOT NULL THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('votes partition'));
    -- asked of the table, as the cache behind to_regclass may not know yet what the one before us has made
    IF NOT EXISTS (
        SELECT FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'votes'::regclass AND c.relname = name
    ) THEN
        EXECUTE format('CREATE TABLE %I (LIKE votes INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES)', name);
        EXECUTE format('ALTER TABLE votes ATTACH PARTITION %I FOR VALUES IN (%s)', name, ref);
    END IF;
END $$;
