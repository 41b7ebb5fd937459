"""A whole store, read by utterance."""
