"""Predictions of trained networks for new clips."""
