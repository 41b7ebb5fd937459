"""One process's work on a run: the session, opened and closed in one place, and what it says."""
