"""Takes the agents' records in over HTTPS, each exactly once, and keeps them as Parquet by day."""
