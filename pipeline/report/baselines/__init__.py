"""What simple means and the paper's own audio baseline reach on the same data."""
