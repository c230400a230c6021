-- Boards as they were, for replay: the best hundred each ten seconds. Of a window only the last day is kept.

CREATE TABLE board_snapshots (
    org_id      text NOT NULL,
    window_id   uuid NOT NULL,
    at          timestamptz NOT NULL,
    total_votes bigint NOT NULL CHECK (total_votes >= 0),
    voters      bigint NOT NULL CHECK (voters >= 0),
    contestants integer NOT NULL,
    board       jsonb NOT NULL,
    PRIMARY KEY (org_id, window_id, at)
);
