"""Every setting of a run: declared once, read from files, checked, and held for whoever asks."""
