"""What a run works on: its plan, its stages' fingerprints, its ledger."""
