"""Small worlds for the tests of the topology: three regions, three sites, records made by hand."""

from datetime import UTC, datetime
from typing import Any

import pandas as pd

from placement.topology import Topology, build_topology
from probes.record import Record, utc_ns
from probes.table import to_table

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
# One degree along the equator is 111.195 km: light in fibre needs 1.11195 ms there and back.
DEGREE_KM = 111.195


def record(source: str, target: str, *rtt_ms: float, at: datetime = NOON, method: str = "icmp", **more: Any) -> Record:
    """A record of one ping that got `rtt_ms` back; `sent` and `received` follow from them unless they are given."""
    counts = {"sent": len(rtt_ms), "received": len(rtt_ms)} if rtt_ms else {}
    return Record(
        observed_at=utc_ns(at), source=source, target=target, method=method, rtt_ms=rtt_ms or None, **{**counts, **more}
    )


def regions(*names: str, country: str = "EC") -> pd.DataFrame:
    """Regions on the equator at 0, 1, 2 … degrees east, of 100, 200, 300 … users."""
    count = range(len(names))
    return pd.DataFrame(
        {
            "region": list(names), "name": list(names), "country": [country] * len(names),
            "latitude": [0.0] * len(names), "longitude": [float(i) for i in count],
            "users": [100.0 * (i + 1) for i in count],
        }
    )  # fmt: skip


def sites(*names: str, country: str = "EC") -> pd.DataFrame:
    """Sites on the equator at 0, 1, 2 … degrees east."""
    return regions(*names, country=country).rename(columns={"region": "site"}).drop(columns="users")


def endpoints(*rows: tuple[str, str, str, str, float | None]) -> pd.DataFrame:
    """The endpoints table: endpoint, kind, region, site, weight."""
    return pd.DataFrame(rows, columns=["endpoint", "kind", "region", "site", "weight"]).astype({"weight": "float64"})


def links(*rows: tuple[str, str, float, float | None]) -> pd.DataFrame:
    """The links table: source, target, rtt_ms, mbps."""
    table = pd.DataFrame(rows, columns=["source", "target", "rtt_ms", "mbps"])
    return table.astype({"rtt_ms": "float64", "mbps": "float64"})


def domains(*rows: tuple[str, str, str]) -> pd.DataFrame:
    """The domains table: domain, site, kind."""
    return pd.DataFrame(rows, columns=["domain", "site", "kind"])


def demand(*rows: tuple[str, float]) -> pd.DataFrame:
    """The demand table: region, requests_per_s."""
    return pd.DataFrame(rows, columns=["region", "requests_per_s"]).astype({"requests_per_s": "float64"})


def topology(records: list[Record] | Any, **tables: pd.DataFrame) -> Topology:
    """The topology of records (or of a Table of them) in a world of two regions and two sites unless told otherwise."""
    table = to_table(records) if isinstance(records, list) else records
    world = {
        "regions": regions("r1", "r2"), "sites": sites("s1", "s2"), "endpoints": endpoints(), "links": links(),
        "domains": domains(), "demand": demand(),
    }  # fmt: skip
    return build_topology(table, {**world, **tables})
