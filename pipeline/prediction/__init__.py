"""Trained networks on clips that they have never seen."""
