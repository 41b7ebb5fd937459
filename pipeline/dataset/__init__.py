"""CSV files and folders to utterances, and utterances to the clips on disk."""
