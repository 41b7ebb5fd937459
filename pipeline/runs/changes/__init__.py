"""Describes in words how clips and features have changed between two runs."""
