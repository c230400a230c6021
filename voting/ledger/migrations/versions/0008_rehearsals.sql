-- A rehearsal's windows are like any other, and none of their results is public.

ALTER TABLE windows ADD COLUMN rehearsal boolean NOT NULL DEFAULT false;

-- `mode` is what was asked (take, arm, cancel, confirm) or what the director did with a cue that waited (drop, expire,
-- void); `due_at` the instant that a cue is or was armed for.
ALTER TABLE cue_log
    ADD COLUMN mode   text NOT NULL DEFAULT 'take',
    ADD COLUMN due_at timestamptz;
