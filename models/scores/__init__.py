"""CCC and its intervals."""
