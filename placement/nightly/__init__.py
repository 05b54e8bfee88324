"""From raw measurements to what is published, every night, unattended (docs/nightly.md)."""
