"""Third-party weights: the table of them, their digests, their download."""
