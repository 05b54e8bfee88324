"""The domain: scenario, topology, problem, plan, audit, and the command line."""
