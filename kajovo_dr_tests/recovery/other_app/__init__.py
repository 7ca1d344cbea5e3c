"""A library's catalogue: a second application, unlike the hotel in every respect that is a setting.

Its tables and its Alembic version table lie in a schema of their own, its migrations read
LIBRARY_DSN for psycopg2, its API has other paths, a nested login with a bearer token and no CSRF.
"""
