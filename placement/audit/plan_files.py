"""Reads a plan folder without trusting it: whatever is wrong becomes a violation named `format`, never a traceback."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeGuard, cast

from placement.audit.exact import exact
from placement.audit.facts import Key
from placement.audit.json_text import JsonError, read_json
from placement.audit.report import Findings
from placement.audit.route_table import RouteRow, read_routes

BILLION = 10**9
MOST = 10**15  # no count and no sum of money in a plan comes near; beyond it floats stop telling cents apart
COST_KINDS = (
    "servers",
    "support",
    "power_space",
    "idle_energy",
    "load_energy",
    "open_sites",
    "egress",
    "latency",
    "unserved",
)
KEYS = {
    "schema",
    "scenario",
    "status",
    "objective_usd_month",
    "bound_claimed_usd_month",
    "bound_verified_usd_month",
    "gap",
    "cost",
    "latency",
    "served_share",
    "servers",
    "replicas",
    "jobs",
    "unserved",
    "shadow_prices",
    "provenance",
}


@dataclass(frozen=True)
class Standing:
    """Servers of a kind at a site: `count` stand, `new` of them are bought."""

    site: str
    server: str
    count: int
    new: int


@dataclass(frozen=True)
class Replicas:
    site: str
    shape: str
    slice: str  # "" is every slice
    count: int


@dataclass(frozen=True)
class Unserved:
    key: Key
    share_ppb: int
    usd_month: Fraction | None


@dataclass(frozen=True)
class PlanFiles:
    """What the files say, as far as it could be read; None where a figure is null or unreadable."""

    scenario: str = ""
    status: str = ""
    objective_usd_month: Fraction | None = None
    bound_claimed_usd_month: Fraction | None = None
    bound_verified_usd_month: Fraction | None = None
    gap: Fraction | None = None
    cost: Mapping[str, Fraction] = field(default_factory=dict)
    latency_ms: Mapping[str, Fraction | None] = field(default_factory=dict)
    served_share: Fraction | None = None
    servers: tuple[Standing, ...] = ()
    replicas: tuple[Replicas, ...] = ()
    jobs: tuple[object, ...] = ()
    unserved: tuple[Unserved, ...] = ()
    inputs_sha256: Mapping[str, str] = field(default_factory=dict)
    routes: tuple[RouteRow, ...] = ()


def read_plan(folder: Path, findings: Findings) -> PlanFiles | None:
    """The files of a plan folder; None when plan.json or routes.parquet cannot be read at all."""
    try:
        document = read_json(folder / "plan.json")
    except JsonError as error:
        findings.check("format", False, "plan.json", str(error))
        return None
    routes = read_routes(folder / "routes.parquet", findings)
    if not isinstance(document, dict):
        findings.check("format", False, "plan.json", "is not an object")
        return None
    return None if routes is None else _Reader(document, findings).plan(routes)


@dataclass(frozen=True)
class _Reader:
    document: dict[str, Any]
    findings: Findings

    def plan(self, routes: tuple[RouteRow, ...]) -> PlanFiles:
        at = self.document.get
        self._keys("plan.json", self.document, KEYS)
        self._ok(at("schema") == "nearserve-plan-1", "schema", f"is {at('schema')!r}, not 'nearserve-plan-1'")
        self._ok(at("status") in ("OPTIMAL", "FEASIBLE"), "status", f"{at('status')!r} is no status of a plan")
        cost = self._object("cost", {*COST_KINDS, "total"})
        latency = self._object("latency", {"p50_ms", "p95_ms", "p99_ms"})
        provenance = self._object("provenance", None)
        servers, replicas = self._servers(), self._replicas()
        for where, row in self._rows("shadow_prices", {"limit", "usd_month"}):
            self._text(row["limit"], where)
            self._number(row["usd_month"], where)
        return PlanFiles(
            scenario=self._text(at("scenario"), "scenario"),
            status=str(at("status")),
            objective_usd_month=self._number(at("objective_usd_month"), "objective_usd_month"),
            bound_claimed_usd_month=self._maybe(at("bound_claimed_usd_month"), "bound_claimed_usd_month"),
            bound_verified_usd_month=self._maybe(at("bound_verified_usd_month"), "bound_verified_usd_month"),
            gap=self._maybe(at("gap"), "gap"),
            cost={name: usd for name in cost if (usd := self._number(cost[name], f"cost.{name}")) is not None},
            latency_ms={name: self._maybe(latency[name], f"latency.{name}") for name in latency},
            served_share=self._number(at("served_share"), "served_share"),
            servers=servers,
            replicas=replicas,
            jobs=tuple(self._list("jobs")),
            unserved=self._unserved(),
            inputs_sha256=self._hashes(provenance.get("inputs_sha256")),
            routes=routes,
        )

    def _servers(self) -> tuple[Standing, ...]:
        found: dict[tuple[str, str], Standing] = {}
        for where, row in self._rows("servers", {"site", "server", "period", "count", "new"}):
            if row["period"] is not None:
                self.findings.check("not honoured", False, where, f"period {row['period']!r}: one period is planned")
            count, new = self._count(row["count"], f"{where}.count"), self._count(row["new"], f"{where}.new")
            site, server = self._text(row["site"], where), self._text(row["server"], where)
            if count is None or new is None or not site or not server:
                continue
            self._ok(new <= count, where, f"{new} new of only {count}")
            if self._ok((site, server) not in found, where, f"{server} at {site} is listed twice"):
                found[(site, server)] = Standing(site, server, count, new)
        return tuple(found.values())

    def _replicas(self) -> tuple[Replicas, ...]:
        found: dict[tuple[str, str], Replicas] = {}
        for where, row in self._rows("replicas", {"site", "shape", "slice", "count"}):
            if row["slice"] is not None:
                self.findings.check("not honoured", False, where, "replicas that follow slices are not planned yet")
            count = self._count(row["count"], f"{where}.count")
            site, shape = self._text(row["site"], where), self._text(row["shape"], where)
            if count is None or not site or not shape:
                continue
            if self._ok((site, shape) not in found, where, f"{shape} at {site} is listed twice"):
                found[(site, shape)] = Replicas(site, shape, "", count)
        return tuple(found.values())

    def _unserved(self) -> tuple[Unserved, ...]:
        found: dict[Key, Unserved] = {}
        names = {"region", "model", "service", "slice", "share_ppb", "usd_month", "reason"}
        for where, row in self._rows("unserved", names):
            share = self._count(row["share_ppb"], f"{where}.share_ppb", BILLION)
            usd = self._number(row["usd_month"], f"{where}.usd_month")
            texts = [self._text(row[name], f"{where}.{name}") for name in ("region", "model", "service", "reason")]
            name = "" if row["slice"] is None else self._text(row["slice"], f"{where}.slice")
            if share is None or not all(texts):
                continue
            key = (texts[0], texts[1], texts[2], name)
            if self._ok(key not in found, where, f"{'/'.join(key)} is listed twice"):
                found[key] = Unserved(key, share, usd)
        return tuple(found.values())

    def _hashes(self, value: object) -> dict[str, str]:
        if isinstance(value, dict) and all(isinstance(v, str) for v in value.values()):
            return value
        self._ok(False, "provenance.inputs_sha256", "is not an object of hashes")
        return {}

    def _ok(self, holds: bool, subject: str, detail: str) -> bool:
        return self.findings.check("format", holds, subject, detail)

    def _keys(self, where: str, value: Mapping[str, object], names: set[str]) -> bool:
        missing, strange = sorted(names - set(value)), sorted(set(value) - names)
        return self._ok(not missing and not strange, where, f"missing {missing}, unknown {strange}")

    def _object(self, name: str, names: set[str] | None) -> dict[str, Any]:
        value = self.document.get(name)
        if not self._ok(isinstance(value, dict), name, "is not an object"):
            return {}
        found = cast("dict[str, Any]", value)
        return found if names is None or self._keys(name, found, names) else {}

    def _list(self, name: str) -> list[Any]:
        value = self.document.get(name)
        return cast("list[Any]", value) if self._ok(isinstance(value, list), name, "is not a list") else []

    def _rows(self, name: str, names: set[str]) -> list[tuple[str, dict[str, Any]]]:
        good = []
        for j, row in enumerate(self._list(name)):
            where = f"{name}[{j}]"
            if self._ok(isinstance(row, dict), where, "is not an object") and self._keys(where, row, names):
                good.append((where, row))
        return good

    def _text(self, value: object, where: str) -> str:
        good = self._ok(isinstance(value, str) and value != "", where, f"{value!r} is no name")
        return cast("str", value) if good else ""

    def _count(self, value: object, where: str, most: int = BILLION) -> int | None:
        good = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most
        self._ok(good, where, f"{_short(value)} is no whole number from 0 to {most}")
        return cast("int", value) if good else None

    def _maybe(self, value: object, where: str) -> Fraction | None:
        return None if value is None else self._number(value, where)

    def _number(self, value: object, where: str) -> Fraction | None:
        # not math.isfinite, which raises for a whole number beyond floats; the comparison is false for NaN
        if self._ok(_is_number(value) and abs(value) <= MOST, where, f"{_short(value)} is no number"):
            return Fraction(value) if isinstance(value, int) else exact(cast("float", value))
        return None


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _short(value: object) -> str:
    """`value` as a message shows it, of whatever length it is."""
    return f"{value!r:.40}"
