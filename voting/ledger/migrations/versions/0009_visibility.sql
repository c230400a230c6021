-- Kept with the window, so that one that is rebuilt keeps its embargo. Those from before had none.

ALTER TABLE windows
    ADD COLUMN visibility text NOT NULL DEFAULT 'public' CHECK (visibility IN ('public', 'screens', 'hidden'));
