"""Feeds, held against what is too slow or too large for tests."""
