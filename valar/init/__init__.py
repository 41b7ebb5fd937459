"""`valar init`: look at a folder of clips, and write the settings and CSV files for a run."""
