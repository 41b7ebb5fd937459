"""`valar init`: a folder of clips is looked at, and the settings and CSV files for a run are written."""
