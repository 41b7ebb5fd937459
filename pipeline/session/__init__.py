"""The session: one process's work on a run, opened and closed in one place, and its messages."""
