"""What orchestrators read, rendered from a plan, read back and compared to it (docs/feeds.md)."""
