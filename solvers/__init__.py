"""Problem to Solution: arrays and equations; no files, no countries, no command line."""
