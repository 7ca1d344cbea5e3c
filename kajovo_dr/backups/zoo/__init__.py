"""The damage zoo: named damages of real backups, each with the check that must reject it."""
