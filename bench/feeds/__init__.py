"""Benchmarks of feeds."""
