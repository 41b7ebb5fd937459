"""Turns predictions into scores, tables, plots and pages."""
