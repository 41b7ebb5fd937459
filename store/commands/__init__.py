"""What `python -m store COMMAND` does."""
