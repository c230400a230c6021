-- Who won each slot of a season, one row a window. Append-only: the first decision stands.

CREATE TABLE slots (
    org_id          text NOT NULL,
    window_id       uuid NOT NULL,
    season          uuid NOT NULL,
    slot            integer NOT NULL CHECK (slot > 0),
    slots           integer NOT NULL CHECK (slots >= slot),
    show_id         text NOT NULL,
    episode         integer NOT NULL,
    contestant_id   text,
    contestant_name text,
    score           bigint NOT NULL CHECK (score >= 0),
    decided_by      text NOT NULL CHECK (decided_by IN ('SCORE', 'VOTERS', 'FIRST', 'NUMBER', 'NO_VOTES')),
    decided_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, window_id),
    FOREIGN KEY (org_id, window_id) REFERENCES windows
);
CREATE INDEX slots_by_season ON slots (org_id, season, slot);

CREATE TRIGGER slots_append_only BEFORE UPDATE OR DELETE ON slots
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
