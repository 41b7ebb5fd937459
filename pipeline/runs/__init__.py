"""A run: its plan, the fingerprints of its stages, and its ledger."""
