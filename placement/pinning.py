"""Pins given on the command line: a wish about one model at one site, added to the scenario's own."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from placement.frames import texts
from placement.scenario import Scenario
from placement.scenario.findings import nearest

_FORM = re.compile(r"(?P<model>[^@]+)@(?P<site>[^:]+):(?P<least>\d*)(?P<dash>-?)(?P<most>\d*)")
REASON = "asked on the command line"


class PinError(ValueError):
    """A pin that cannot be read, or names what the scenario does not know."""


@dataclass(frozen=True)
class Pin:
    """At least `least` and at most `most` replicas of a model at a site; None: no limit."""

    model: str
    site: str
    least: int
    most: int | None

    def __str__(self) -> str:
        return f"{self.model}@{self.site}:{self.least}-{'' if self.most is None else self.most}"


def parse_pin(text: str) -> Pin:
    """`MODEL@SITE:N` at least N, `:N-M` from N to M, `:-M` at most M, `:0-0` none.

    Raises:
        PinError: the text has another form, or least is above most.
    """
    match = _FORM.fullmatch(text)
    if match is None or not (match["least"] or match["most"]):
        raise PinError(f"{text!r} is no pin: write MODEL@SITE:N for at least N replicas, :N-M, :-M, or :0-0 for none")
    least, most = int(match["least"] or 0), int(match["most"]) if match["most"] else None
    if most is not None and least > most:
        raise PinError(f"{text!r}: the least is above the most")
    return Pin(match["model"], match["site"], least, most)


def pinned(scenario: Scenario, pins: Sequence[Pin]) -> Scenario:
    """The scenario with `pins` beside its own.

    Raises:
        PinError: a model or site is unknown, or pinned already.
    """
    known = {name: texts(scenario.table(f"{name}s"), name) for name in ("model", "site")}
    own = scenario.table("pins")
    taken = set(zip(texts(own, "model"), texts(own, "site"), strict=True))
    for pin in pins:
        for what, name in (("model", pin.model), ("site", pin.site)):
            if name not in known[what]:
                raise PinError(f"{pin}: no {what} is called {name!r}. {nearest(name, known[what])}")
        if (pin.model, pin.site) in taken:
            raise PinError(f"{pin}: {pin.model} is pinned at {pin.site} already")
        taken.add((pin.model, pin.site))
    rows = pd.DataFrame(
        {
            "model": [pin.model for pin in pins],
            "site": [pin.site for pin in pins],
            "min_replicas": [float(pin.least) for pin in pins],
            "max_replicas": [np.nan if pin.most is None else float(pin.most) for pin in pins],
            "reason": REASON,
        }
    )
    rows = rows.reindex(columns=own.columns, fill_value="").astype(own.dtypes.to_dict())
    table = pd.concat([own, rows]) if len(own) else rows
    table = table.sort_values(["model", "site"], kind="stable").reset_index(drop=True)
    return replace(scenario, tables={**scenario.tables, "pins": table})
