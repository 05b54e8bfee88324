"""What a plan folder says of classes and pairs: its prices, and which pair carries how much of a class.

The plan may be from other inputs than the scenario has now, as measurements change daily: its figures only rank.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from placement.frames import Row
from placement.needs.classes import Class
from placement.plan.certificate import guiding_usd
from placement.plan.document import BILLION, PlanDocument

Arrays = Mapping[str, NDArray[Any]]


class NoPlanError(ValueError):
    """The folder holds no plan that can be read."""


class Route(NamedTuple):
    """A share of a class in one slice and period, and where it is served; "" is the name of what has none."""

    region: str
    model: str
    service: str
    slice: str
    period: str
    site: str
    shape: str
    share: float


@dataclass(frozen=True)
class Prices:
    """A period's prices by the scenario's names, USD a month; what has none costs nothing.

    `class_usd` is what the whole of (region, model, service, slice) pays; `up_usd` and `down_usd` that of a Mbit/s at
    (site, slice), `limit_usd` that of a unit of a limit, `budget` USD per USD of the monthly budget.
    """

    period: str
    class_usd: Mapping[tuple[str, str, str, str], float]
    up_usd: Mapping[tuple[str, str], float]
    down_usd: Mapping[tuple[str, str], float]
    limit_usd: Mapping[str, float]
    budget: float


@dataclass(frozen=True)
class Planned:
    """A plan as far as it weighs pairs: `prices` by period, empty without a certificate, and its `routes`."""

    prices: tuple[Prices, ...]
    routes: tuple[Route, ...]

    def share(self) -> dict[Class, dict[str, float]]:
        """How much of a class each site carries, the most over slices and periods."""
        at: dict[tuple[Class, str, str, str], float] = {}
        for route in self.routes:
            key = (route.region, route.model, route.service), route.site, route.slice, route.period
            at[key] = at.get(key, 0.0) + route.share
        found: dict[Class, dict[str, float]] = {}
        for (cls, site, _, _), share in at.items():
            of_class = found.setdefault(cls, {})
            of_class[site] = max(of_class.get(site, 0.0), share)
        return found


def read_planned(folder: Path) -> Planned:
    """The plan of a folder; raises NoPlanError where there is none, or none that this version reads."""
    try:
        PlanDocument.model_validate_json((folder / "plan.json").read_bytes())
        table = pq.read_table(folder / "routes.parquet")
        rows = table.filter(table["failure"].is_null()).to_pylist()
        prices: tuple[Prices, ...] = ()
        if (folder / "certificate.npz").exists():
            with np.load(folder / "certificate.npz", allow_pickle=False) as arrays:
                prices = prices_of({name: arrays[name] for name in arrays.files})
    except (OSError, ValueError, KeyError) as error:
        raise NoPlanError(f"{folder}: {error}") from error
    return Planned(prices, tuple(_route(row) for row in rows))


def _route(row: Row) -> Route:
    named = {name: row[name] or "" for name in Route._fields if name != "share"}
    return Route(**named, share=row["share_ppb"] / BILLION)


def prices_of(arrays: Arrays) -> tuple[Prices, ...]:
    """The prices in a certificate's arrays (`placement.plan.certificate`), by period."""
    sites, slices = arrays["site"].tolist(), arrays["slice"].tolist()
    found = []
    for h, period in enumerate(arrays["period"].tolist()):
        prefix = f"p{h}_"
        own = {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
        names = zip(*(own[f"demand_{kind}"].tolist() for kind in ("region", "model", "service", "slice")), strict=True)
        found.append(
            Prices(
                period=period,
                class_usd=dict(zip(names, np.maximum(guiding_usd(own, failures=True), 0.0).tolist(), strict=True)),
                up_usd=_by_site(sites, slices, own["uplink_usd"]),
                down_usd=_by_site(sites, slices, own["downlink_usd"]),
                limit_usd=dict(zip(own["limit"].tolist(), own["limit_usd"].tolist(), strict=True)),
                budget=float(own["budget"]),
            )
        )
    return tuple(found)


def _by_site(sites: Iterable[str], slices: Iterable[str], usd: NDArray[Any]) -> dict[tuple[str, str], float]:
    names = [(site, slice_) for site in sites for slice_ in slices]
    return {name: value for name, value in zip(names, usd.reshape(-1).tolist(), strict=True) if value > 0}
