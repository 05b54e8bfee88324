"""Variants of `tiny` in which one thing is in the way, and how they are posed."""

from collections.abc import Mapping
from pathlib import Path

import tiny

from placement.explain.case import Case, How, pose
from placement.scenario import load

Changes = Mapping[str, str | None]

HOW = How(gap=1e-6, time_limit_s=30.0)
BOTH_UNSERVED = 10_512 + 15_768  # paris: 4 requests/s x 3600 x 730 at 1 USD per 1000; berlin 6
SERVER = 231.90
NO_STOCK: Changes = {"deliveries.csv": "period,delivery_group,server,quantity\n,,s2,0\n"}


def with_text(text: str) -> dict[str, str | None]:
    return {"scenario.toml": (tiny.FILES["scenario.toml"] or "") + text}


def posed(folder: Path, changes: Changes | None = None) -> Case:
    """The variant, planned."""
    return pose(load(tiny.write(folder, dict(changes or {}))), HOW)


SHORT_OF_POWER = tiny.edited("sites.csv", "50.11,8.68,10,42", "50.11,8.68,0.4,42")  # beta: a server takes 1 kW
PINS: Changes = {"pins.csv": "model,site,min_replicas,max_replicas,reason\nm8,beta,,0,example\n"}
