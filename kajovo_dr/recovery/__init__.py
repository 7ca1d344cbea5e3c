"""Bringing a system back: a database, then the application on it."""
