-- Which results are public. Append-only: what has been shown cannot be taken back.

CREATE TABLE releases (
    org_id      text NOT NULL,
    window_id   uuid NOT NULL,
    released_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, window_id),
    FOREIGN KEY (org_id, window_id) REFERENCES results
);

CREATE TRIGGER releases_append_only BEFORE UPDATE OR DELETE ON releases
    FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- Until now every result was public as soon as its window was no longer the last one; the last one stays with the stage.
INSERT INTO releases (org_id, window_id)
SELECT org_id, window_id FROM results r
WHERE EXISTS (SELECT FROM results newer WHERE newer.org_id = r.org_id AND newer.created_at > r.created_at);
