"""How well round trips of unmeasured pairs are inferred, beside what others do: sets, protocol, baselines, figures."""
