"""Nights under stress: kills at random points, and at full size."""
