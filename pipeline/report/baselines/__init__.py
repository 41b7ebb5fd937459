"""Baselines on the same data: simple methods, and the paper's own audio baseline."""
