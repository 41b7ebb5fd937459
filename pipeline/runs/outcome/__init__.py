"""What became of a run, for its reader, for commands and for the next run: the ledger, failures, rates."""
