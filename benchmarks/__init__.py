"""The same work beside its peers: `python -m benchmarks [NAME ...]`."""
