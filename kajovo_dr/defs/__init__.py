"""Dagster only: no SQL, no child processes, no file formats."""
