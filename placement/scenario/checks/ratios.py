"""Figures that are plausible alone and not beside another: the unit mistakes that a window of one column lets pass."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from placement.scenario.draft import Draft, at_rows
from placement.scenario.findings import Finding, Severity
from placement.scenario.world import Float


@dataclass(frozen=True)
class Ratio:
    """What two figures make of each other. Outside of `low` to `high` is doubted, of `least` to `most` an error."""

    unit: str
    least: float
    low: float
    high: float
    most: float
    too_small: str  # the unit suspected
    too_large: str


# A full rack of 42 units draws 5 to 150 kW today, 600 kW in announcements: 0.1 to 14 kW a unit.
POWER_DENSITY = Ratio("kW per rack unit", 0.001, 0.005, 20, 100, "MW", "W")
SERVER_DENSITY = Ratio("kW per rack unit", 0.0005, 0.02, 20, 100, "MW", "W")
# Heavy use is some hundred requests a day.
REQUESTS_PER_USER = Ratio("requests/s per user", 0, 0, 0.02, 1, "", "requests/hour, or users in thousands")
# Text is 4 to 6 bytes a token, in JSON events up to some 300; pictures and documents go up, and seldom down.
BYTES_UP = Ratio("bytes per token", 0, 0, 5_000, 50_000_000, "", "bytes")
BYTES_DOWN = Ratio("bytes per token", 0, 0, 5_000, 100_000, "", "bytes")
PRICE_PER_GPU = Ratio("USD per GPU", 0, 300, 200_000, 5_000_000, "thousand USD", "cents")
TDP_PER_GB = Ratio("W per GB", 0.01, 0.5, 60, 2_000, "kW", "MB for the memory")


def check_power_density(draft: Draft) -> Iterator[Finding]:
    """kW against rack units, of sites and of servers."""
    for name, ratio in (("sites", POWER_DENSITY), ("servers", SERVER_DENSITY)):
        if draft.own(name):
            frame = draft.frame(name)
            yield from _judged(draft, name, "power_kw", frame, _over(frame["power_kw"], frame["rack_units"]), ratio)


def check_requests_per_user(draft: Draft) -> Iterator[Finding]:
    """Requests per second against the people of the region."""
    users = draft.frame("regions").drop_duplicates("region").set_index("region")["users"]
    frame = draft.frame("demand")
    value = _over(frame["requests_per_s"], frame["region"].map(users).astype(np.float64))
    yield from _judged(draft, "demand", "requests_per_s", frame, value, REQUESTS_PER_USER)


def check_bytes_per_token(draft: Draft) -> Iterator[Finding]:
    """kB of a service against the tokens of its profile."""
    profiles = draft.frame("profiles").drop_duplicates("profile").set_index("profile")
    frame = draft.frame("services")
    for column, tokens, ratio in (("kbyte_in", "tokens_in", BYTES_UP), ("kbyte_out", "tokens_out", BYTES_DOWN)):
        value = _over(frame[column] * 1000, frame["profile"].map(profiles[tokens]).astype(np.float64))
        yield from _judged(draft, "services", column, frame, value, ratio)


def check_price_per_gpu(draft: Draft) -> Iterator[Finding]:
    """Capex against the GPUs of the server."""
    if draft.own("servers"):
        frame = draft.frame("servers")
        yield from _judged(
            draft, "servers", "capex_usd", frame, _over(frame["capex_usd"], frame["gpus"]), PRICE_PER_GPU
        )


def check_tdp_against_memory(draft: Draft) -> Iterator[Finding]:
    """W of a GPU against its GB."""
    if draft.own("gpus"):
        frame = draft.frame("gpus")
        yield from _judged(draft, "gpus", "tdp_w", frame, _over(frame["tdp_w"], frame["memory_gb"]), TDP_PER_GB)


def check_mean_below_design(draft: Draft) -> Iterator[Finding]:
    """The mean rate is not above the design rate."""
    frame = draft.frame("demand")
    rows = frame.index[frame["mean_requests_per_s"] > frame["requests_per_s"] * (1 + 1e-9)]
    message, mend = "the mean rate is above the design rate", "Exchange or correct them."
    yield from at_rows(draft, "demand", rows, "mean_requests_per_s", "mean-above-design", message, mend, "warning")


def _over(above: "pd.Series[float]", below: "pd.Series[float]") -> Float:
    """The quotient; NaN where either is unknown or zero."""
    top, bottom = above.to_numpy(np.float64), below.to_numpy(np.float64)
    usable = (bottom > 0) & (top > 0)
    return np.where(usable, top / np.where(usable, bottom, 1.0), np.nan)


def _judged(draft: Draft, name: str, column: str, frame: pd.DataFrame, value: Float, ratio: Ratio) -> Iterator[Finding]:
    absurd = (value < ratio.least) | (value > ratio.most)
    doubtful = ((value < ratio.low) | (value > ratio.high)) & ~absurd
    lines = frame.index.to_numpy(np.int64)
    for place in np.nonzero(absurd | doubtful)[0]:
        unit = ratio.too_small if value[place] < ratio.low else ratio.too_large
        word = "impossible" if absurd[place] else "doubtful"
        message = f"{word}: {value[place]:.3g} {ratio.unit}; it looks like {unit}"
        mend = f"Expected {ratio.low:g} to {ratio.high:g} {ratio.unit}: check the units of both figures."
        severity: Severity = "error" if absurd[place] else "warning"
        yield from at_rows(draft, name, [int(lines[place])], column, "units", message, mend, severity)


CHECKS = (
    check_power_density,
    check_requests_per_user,
    check_bytes_per_token,
    check_price_per_gpu,
    check_tdp_against_memory,
    check_mean_below_design,
)
