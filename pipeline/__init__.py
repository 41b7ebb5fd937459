"""What happens to a video: from clips and CSV files to features, checkpoints and a report."""
