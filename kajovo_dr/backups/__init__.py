"""The store of backups and what lies in it; knows nothing of recovery."""
