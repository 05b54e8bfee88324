"""Builders of the bundled datasets: facts of the world, ready scenarios, and the generator of full-scale ones."""
