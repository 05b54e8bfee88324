"""The figures that every sweep is given, checked alike."""

import math


def wrong_figures(probes: int, timeout_s: float, interval_s: float, rate_per_s: float) -> list[str]:
    """What is out of range, for a person; [] where all is sound."""
    wrong = []
    if probes < 1:
        wrong.append(f"probes = {probes}: at least 1 is sent")
    if not (timeout_s > 0 and math.isfinite(timeout_s)):
        wrong.append(f"timeout_s = {timeout_s}: must be above 0 and finite")
    if not (interval_s >= 0 and math.isfinite(interval_s)):
        wrong.append(f"interval_s = {interval_s}: must not be negative, and finite")
    if not (rate_per_s > 0 and math.isfinite(rate_per_s)):
        wrong.append(f"rate_per_s = {rate_per_s}: must be above 0 and finite")
    return wrong
