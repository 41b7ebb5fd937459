"""Comparisons of Valar's speed and accuracy with other ways to do the same work: `python -m benchmarks [NAME ...]`."""
