"""Commands of `valar` alone: those that start Luigi, the group `valar store`, and completion."""
