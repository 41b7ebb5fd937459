"""Frames to one speaker's aligned faces (paper II-B): detect, follow, choose, align."""
