"""A store's features for other tools."""
