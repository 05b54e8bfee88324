"""What a user would take instead: each in a process of its own, on the same instance, for the same time."""
