"""The plan: its document, its files, its exact figures."""
