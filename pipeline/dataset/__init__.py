"""Utterances from CSV files and folders, and the clips on disk that belong to them."""
