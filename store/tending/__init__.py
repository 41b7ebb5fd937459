"""Checking, mending and clearing a store."""
