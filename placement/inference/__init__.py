"""Round trips of pairs that nobody measured, from those that somebody did: arrays in, intervals out.

`Known` is what is known of a network, `Inference` what follows for every pair of it. Nothing here knows of scenarios,
files or records; `placement.topology` asks.
"""
