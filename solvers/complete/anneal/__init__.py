"""Annealing of a whole plan at its true cost: primaries, backups, replicas and servers move together (13)."""
