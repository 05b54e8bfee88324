"""Slow measurements: run by hand or by `make bench`, never by the tests."""
