"""What a plan folder says of classes and pairs: what each class costs, and which pair carries how much of it.

The plan may be from other inputs than the scenario has now, as measurements change daily: its figures only rank.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from placement.needs.classes import Class
from placement.plan.certificate import guiding_usd
from placement.plan.document import BILLION, PlanDocument


class NoPlanError(ValueError):
    """The folder holds no plan that can be read."""


@dataclass(frozen=True)
class Planned:
    """A plan as far as it weighs pairs.

    `usd_month` is what serving a class costs at the certificate's prices, or the penalty of what is left unserved of
    it where that is more; empty without a certificate. `share` is how much of a class each site carries, the most
    over slices and periods. `standing` holds the
    (site, model) that have replicas.
    """

    usd_month: Mapping[Class, float]
    share: Mapping[Class, Mapping[str, float]]
    standing: frozenset[tuple[str, str]]


def read_planned(folder: Path) -> Planned:
    """The plan of a folder; raises NoPlanError where there is none, or none that this version reads."""
    try:
        document = PlanDocument.model_validate_json((folder / "plan.json").read_bytes())
        table = pq.read_table(folder / "routes.parquet")
        routes = table.filter(table["failure"].is_null()).to_pylist()
        usd = _priced(folder / "certificate.npz")
    except (OSError, ValueError, KeyError) as error:
        raise NoPlanError(f"{folder}: {error}") from error
    for row in document.unserved if usd else ():
        key = row.region, row.model, row.service
        usd[key] = max(usd.get(key, 0.0), row.usd_month)
    share: dict[Class, dict[str, float]] = {}
    by_time: dict[tuple[Class, str, Any, Any], float] = {}
    standing = set()
    for row in routes:
        cls, site = (row["region"], row["model"], row["service"]), row["site"]
        standing.add((site, row["model"]))
        at = cls, site, row["slice"], row["period"]
        by_time[at] = by_time.get(at, 0.0) + row["share_ppb"] / BILLION
        of_class = share.setdefault(cls, {})
        of_class[site] = max(of_class.get(site, 0.0), by_time[at])
    return Planned(usd, share, frozenset(standing))


def _priced(path: Path) -> dict[Class, float]:
    """What each class pays over a day's slices in its dearest period, USD a month; empty without a certificate."""
    found: dict[Class, float] = {}
    if not path.exists():
        return found
    with np.load(path, allow_pickle=False) as arrays:
        for h in range(len(arrays["period"])):
            prefix = f"p{h}_"
            own = {name.removeprefix(prefix): arrays[name] for name in arrays.files if name.startswith(prefix)}
            of_period: dict[Class, float] = {}
            names = (own[f"demand_{kind}"].tolist() for kind in ("region", "model", "service"))
            for *key, usd in zip(*names, guiding_usd(own, failures=True).tolist(), strict=True):
                cls = key[0], key[1], key[2]
                of_period[cls] = of_period.get(cls, 0.0) + max(usd, 0.0)
            for cls, usd in of_period.items():
                found[cls] = max(found.get(cls, 0.0), usd)
    return found
