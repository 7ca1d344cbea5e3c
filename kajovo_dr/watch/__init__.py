"""Looking after everything all day: what is wrong now, from the files and, beside them, Dagster."""
