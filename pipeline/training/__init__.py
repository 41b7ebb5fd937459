"""Trains networks on the store's features and writes checkpoints: for each seed, and for each fold."""
