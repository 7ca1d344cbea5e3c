"""kajovo_dr: disaster recovery for PostgreSQL applications, proven by restoring.

One word per idea: *backup* (what lies in the store), *dump file* (its data), *manifest* (what is
known of it), *catalog* (all backups of a store), *restore* (a database comes back), *recovery* (the
whole application comes back), *incident* (why), *phase* (one timed step of a recovery).
"""

__version__ = "0.1.0"
