-- The ledger's first schema. Every table carries the organisation; votes are partitioned by episode.

CREATE TABLE organisations (
    org_id      text PRIMARY KEY,
    name        text NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE seasons (
    org_id      text NOT NULL REFERENCES organisations,
    season_id   text NOT NULL,
    title       text NOT NULL,
    PRIMARY KEY (org_id, season_id)
);

-- `ref` is the short name of an episode in the votes table and names its partition.
CREATE TABLE episodes (
    ref         integer GENERATED ALWAYS AS IDENTITY UNIQUE,
    org_id      text NOT NULL,
    season_id   text NOT NULL,
    show_id     text NOT NULL,
    number      integer NOT NULL CHECK (number > 0),
    title       text NOT NULL,
    PRIMARY KEY (org_id, show_id, number),
    FOREIGN KEY (org_id, season_id) REFERENCES seasons
);

CREATE TABLE contestants (
    org_id            text NOT NULL,
    show_id           text NOT NULL,
    episode           integer NOT NULL,
    contestant_id     text NOT NULL,
    number            integer NOT NULL CHECK (number > 0),
    name              text NOT NULL,
    khmer_name        text NOT NULL DEFAULT '',
    photo_url         text NOT NULL DEFAULT '',
    hometown          text NOT NULL DEFAULT '',
    category          text NOT NULL DEFAULT '',
    performance_order integer NOT NULL,
    status            text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'eliminated')),
    PRIMARY KEY (org_id, show_id, episode, contestant_id),
    UNIQUE (org_id, show_id, episode, number),
    FOREIGN KEY (org_id, show_id, episode) REFERENCES episodes (org_id, show_id, number)
);

CREATE TABLE windows (
    org_id         text NOT NULL,
    window_id      uuid NOT NULL,
    episode_ref    integer NOT NULL REFERENCES episodes (ref),
    opens_at       timestamptz NOT NULL,
    closes_at      timestamptz NOT NULL,
    hard_closes_at timestamptz NOT NULL,
    ruleset        text NOT NULL,
    rules_hash     text NOT NULL,
    rules          jsonb NOT NULL,
    contestants    jsonb NOT NULL,
    PRIMARY KEY (org_id, window_id)
);
CREATE INDEX windows_by_episode ON windows (episode_ref);

CREATE TABLE votes (
    org_id        text NOT NULL,
    episode_ref   integer NOT NULL,
    vote_id       uuid NOT NULL,
    window_id     uuid NOT NULL,
    shard         smallint NOT NULL,
    voter         text NOT NULL,
    contestant_id text NOT NULL,
    vote_type     text NOT NULL,
    vote_count    integer NOT NULL CHECK (vote_count > 0),
    weight        integer NOT NULL CHECK (weight > 0),
    client_id     text NOT NULL,
    received_at   timestamptz NOT NULL,
    metadata      text,
    PRIMARY KEY (episode_ref, vote_id)
) PARTITION BY LIST (episode_ref);

-- How far the writer of each shard has brought its stream into this database.
CREATE TABLE watermarks (
    org_id  text NOT NULL,
    stream  text NOT NULL,
    last_id text NOT NULL DEFAULT '0-0',
    entries bigint NOT NULL DEFAULT 0,
    votes   bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (org_id, stream)
);

-- Append-only: who asked for which cue, when, and what became of it.
CREATE TABLE cue_log (
    org_id      text NOT NULL,
    stream_id   text NOT NULL,
    show_id     text NOT NULL DEFAULT '',
    cue_id      text NOT NULL,
    event       text NOT NULL,
    asked_by    text NOT NULL,
    asked_at    timestamptz NOT NULL,
    executed_at timestamptz,
    outcome     text NOT NULL,
    message     text NOT NULL DEFAULT '',
    revision    bigint NOT NULL,
    lateness_ms integer NOT NULL,
    timecode    text NOT NULL DEFAULT '',
    data        jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (org_id, stream_id)
);

CREATE TABLE results (
    org_id      text NOT NULL,
    window_id   uuid NOT NULL,
    certified   boolean NOT NULL,
    total_votes bigint NOT NULL,
    ledger_total bigint NOT NULL,
    results     jsonb NOT NULL,
    certificate jsonb NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, window_id),
    FOREIGN KEY (org_id, window_id) REFERENCES windows
);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER cue_log_append_only BEFORE UPDATE OR DELETE ON cue_log
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER votes_append_only BEFORE UPDATE OR DELETE ON votes
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER results_append_only BEFORE UPDATE OR DELETE ON results
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
