"""One look at a few targets, for a person at a terminal or a script: named, resolved once, measured now."""
