"""The outcome of a run, for people, for commands and for the next run: the ledger, failures, rates."""
