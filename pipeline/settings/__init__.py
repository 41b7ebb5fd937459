"""Every setting of a run: declared once, read from files, checked, and kept for the rest of the pipeline."""
