"""Speaking to a PostgreSQL server; knows nothing of backups."""
