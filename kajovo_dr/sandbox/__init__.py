"""A stand-in hotel (database, API, migrations, data) for the demo and the tests; our own code."""
