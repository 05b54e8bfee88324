"""What changes from one plan to the next, what it costs, and the order of safe steps (docs/diff.md)."""
