-- Votes by voter, for a voter's own history. Hash and not B-tree: see docs/adr on the indexes of the votes.
CREATE INDEX votes_by_voter ON votes USING hash (voter);
