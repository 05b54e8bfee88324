"""Measurements of the probes against the tools that people use, in the lab's networks."""
