"""Generations of plans and feeds: whole or not at all, one writer, signed, and a way back (docs/publish.md)."""
