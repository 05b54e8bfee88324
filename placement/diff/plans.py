"""What two plans say stands and flows in their first period; a plan of yesterday may name what is not there any more.

Moves are counted from the first period of the plan before (14), so that is what is compared: what is to be done next.
"""

import hashlib
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

from placement.plan.document import Cost
from placement.plan.steps import Place
from placement.scenario import previous

Key: TypeAlias = tuple[str, str, str, str]
"""A class in a slice: region, model, service, slice ("" where there are none)."""
Way: TypeAlias = tuple[str, str]
"""Where a share of a class goes: site, shape."""
Routes: TypeAlias = Mapping[Key, Mapping[Way, int]]
"""Parts per billion of a class in a slice by where they go."""
Machine: TypeAlias = tuple[str, str, str]
"""Servers of one kind and owner: site, server, tenant ("" for anybody's)."""

COLUMNS = ("region", "model", "service", "slice", "site", "shape", "share_ppb", "failure", "period")


class UnreadablePlanError(ValueError):
    """The folder holds no plan that can be read."""


@dataclass(frozen=True)
class Standing:
    """Servers of one kind at a site: all, those bought or rented, those rented."""

    count: int
    new: int
    rented: int


@dataclass(frozen=True)
class Plan:
    """The first period of a plan folder. `period` is "" where the plan has none; `replicas` are by place, see
    `placement.plan.steps`; `cost` is USD a month by what it is paid for, None where that cannot be read."""

    sha256: str  # of plan.json
    routes_sha256: str
    scenario: str
    period: str
    inputs_sha256: Mapping[str, str]
    servers: Mapping[Machine, Standing]
    replicas: Mapping[Place, int]
    routes: Routes
    cost: Mapping[str, float] | None
    served_share: float | None
    total_tco2e: float | None


NOTHING = Plan("", "", "", "", {}, {}, {}, {}, dict.fromkeys(Cost.model_fields, 0.0), 0.0, None)
"""Nothing stands."""


def read_plan(folder: Path) -> Plan:
    """The plan of a folder, of this schema or the one before.

    Raises:
        UnreadablePlanError: it holds none.
    """
    document, wrong, mend = previous.read_previous(folder.parent, folder.name)
    if document is None:
        raise UnreadablePlanError(f"{folder}: {wrong}. {mend}")
    periods = [row["period"] for row in document["periods"]]
    period = periods[0] if periods else ""
    try:
        table = (folder / "routes.parquet").read_bytes()
        return Plan(
            sha256=file_sha256(folder / "plan.json"),
            routes_sha256=hashlib.sha256(table).hexdigest(),
            scenario=str(document.get("scenario", "")),
            period=period,
            inputs_sha256=document["provenance"]["inputs_sha256"],
            servers=_servers(document["servers"], period),
            replicas=_replicas(document["replicas"], period),
            routes=_routes(table, period),
            **_figures(document, period),
        )
    except (OSError, pa.ArrowException, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnreadablePlanError(f"{folder}: cannot be read as a plan: {error}. Plan again.") from error


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _servers(rows: list[dict[str, Any]], period: str) -> dict[Machine, Standing]:
    found = {}
    for row in rows:
        if (row["period"] or "") == period:
            stands = Standing(row["count"], row["new"], row["rented"])
            found[row["site"], row["server"], row["tenant"] or ""] = stands
    return found


def _replicas(rows: list[dict[str, Any]], period: str) -> dict[Place, int]:
    found = {}
    for row in rows:
        if row["count"] and (row["period"] or "") == period:
            found[row["site"], row["shape"], row["tenant"] or "", row["slice"] or ""] = row["count"]
    return found


def _routes(raw: bytes, period: str) -> Routes:
    """The routes of the normal day."""
    table = pq.read_table(pa.BufferReader(raw), columns=list(COLUMNS))
    columns = [table.column(name).to_pylist() for name in COLUMNS]
    found: dict[Key, dict[Way, int]] = defaultdict(dict)
    for region, model, service, slice_, site, shape, share, failure, of in zip(*columns, strict=True):
        if failure is None and (of or "") == period and share:
            found[region, model, service, slice_ or ""][site, shape] = int(share)
    return dict(found)


def _figures(document: dict[str, Any], period: str) -> dict[str, Any]:
    """What the plan says of its first period: money, served share, carbon."""
    said = next((row for row in document["periods"] if row["period"] == period), document)
    cost = {name: float(said["cost"][name]) for name in Cost.model_fields if name in said["cost"]}
    carbon = document.get("carbon") or {}
    return {
        "cost": cost,
        "served_share": float(said["served_share"]),
        "total_tco2e": carbon.get("total_tco2e"),
    }
