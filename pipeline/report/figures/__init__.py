"""The figures of the report and of predictions over time."""
