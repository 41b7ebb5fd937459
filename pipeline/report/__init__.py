"""Predictions to scores, tables, plots and pages."""
