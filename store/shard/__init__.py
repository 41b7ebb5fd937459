"""One shard's file: how it is read and written."""
