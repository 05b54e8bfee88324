"""csv and json: the plan of a moment as plain tables, for people and for scripts (docs/feeds.md).

    servers    site, server, tenant, gpu, gpus, count          gpus of one server
    replicas   site, shape, tenant, model, gpu, quarter_gpus, count    quarters of a GPU of one replica
    routes     region, model, service, site, shape, share_ppb
    unserved   region, model, service, share_ppb               of every class that asks for something
    jobs       job, kind, model, gpu, quarter_gpus, site, slices, preemptible

Columns are spelled as in the plan, shares are parts per billion of all requests of a class, and what is 0 is absent.
"""

import csv
import io
import json
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any, ClassVar, Final, NamedTuple, TypeAlias

from placement.canonical import canonical_lines
from placement.feeds.feed import Fact, FeedError, Files, Key, Read
from placement.feeds.feed import Options as NoOptions
from placement.feeds.view import BILLION, Policy, View

Row: TypeAlias = dict[str, Any]
Tables: TypeAlias = dict[str, list[Row]]

REPLICAS: Final = Fact("replicas", ("site", "shape", "tenant"))
SERVERS: Final = Fact("servers", ("site", "server", "gpu", "tenant"))
QUARTER_GPUS: Final = Fact("quarter_gpus", ("site", "gpu", "model", "shape", "tenant"))
SHARES: Final = Fact("shares", ("region", "model", "service", "site", "shape"))
UNSERVED: Final = Fact("unserved", ("region", "model", "service"))
FACTS: Final = (REPLICAS, SERVERS, QUARTER_GPUS, SHARES, UNSERVED)

ROW: Final = 2
"""The depth of a table's row in the document: each has a line of its own."""
CLASS: Final = ("region", "model", "service")


class Columns(NamedTuple):
    """What a table is made of; the columns named last hold whole numbers."""

    names: tuple[str, ...]
    whole: tuple[str, ...] = ()


COLUMNS: Final[Mapping[str, Columns]] = {
    "servers": Columns(("site", "server", "tenant", "gpu", "gpus", "count"), ("gpus", "count")),
    "replicas": Columns(
        ("site", "shape", "tenant", "model", "gpu", "quarter_gpus", "count"), ("quarter_gpus", "count")
    ),
    "routes": Columns((*CLASS, "site", "shape", "share_ppb"), ("share_ppb",)),
    "unserved": Columns((*CLASS, "share_ppb"), ("share_ppb",)),
    "jobs": Columns(
        ("job", "kind", "model", "gpu", "quarter_gpus", "site", "slices", "preemptible"), ("quarter_gpus",)
    ),
}


def tables(view: View) -> Tables:
    """The tables of a view, each sorted by its columns."""
    served = {key: sum(sites.values()) for key, sites in view.by_class.items()}
    shapes = view.shapes
    found: Tables = {
        "servers": [{name: getattr(row, name) for name in COLUMNS["servers"].names} for row in view.servers],
        "replicas": [
            {
                "site": row.site,
                "shape": row.shape,
                "tenant": row.tenant,
                "model": shapes[row.shape].model,
                "gpu": shapes[row.shape].gpu,
                "quarter_gpus": shapes[row.shape].quarter_gpus,
                "count": row.count,
            }
            for row in view.replicas
        ],
        "routes": [row._asdict() for row in view.routes],
        "unserved": [
            {**dict(zip(CLASS, key, strict=True)), "share_ppb": left}
            for key in {*view.classes, *served}
            if (left := BILLION - served.get(key, 0))
        ],
        "jobs": [{**row._asdict(), "slices": list(row.slices)} for row in view.jobs],
    }
    return {name: sorted(rows, key=lambda row: [row[c] for c in COLUMNS[name].names]) for name, rows in found.items()}


def facts(read: Tables) -> Read:
    """What the tables say. Raises FeedError where they contradict each other."""
    said = {
        REPLICAS: _summed(read["replicas"], REPLICAS, lambda row: row["count"]),
        SERVERS: _summed(read["servers"], SERVERS, lambda row: row["count"]),
        QUARTER_GPUS: _summed(read["replicas"], QUARTER_GPUS, lambda row: row["count"] * row["quarter_gpus"]),
    }
    sent = _summed(read["routes"], SHARES, lambda row: row["share_ppb"])
    served = _summed(read["routes"], UNSERVED, lambda row: row["share_ppb"])
    left = _summed(read["unserved"], UNSERVED, lambda row: row["share_ppb"])
    odd = {key: total for key in served | left if (total := served.get(key, 0) + left.get(key, 0)) != BILLION}
    if odd:
        text = "{}: {} ppb are routed or unserved, and not 10^9"
        raise FeedError(tuple(text.format("/".join(key), total) for key, total in sorted(odd.items())))
    shares = {key: Fraction(ppb, served[key[:3]]) for key, ppb in sent.items()}
    unserved = {key: Fraction(ppb, BILLION) for key, ppb in left.items() if key in served}
    return {**said, SHARES: shares, UNSERVED: unserved}


def _summed(rows: Iterable[Row], fact: Fact, figure: Any) -> dict[Key, int]:
    found: dict[Key, int] = {}
    for row in rows:
        key = tuple(row[name] for name in fact.by)
        found[key] = found.get(key, 0) + figure(row)
    return found


class Csv:
    """Plain tables, a file each.

    With a header; `slices` are separated by blanks, `preemptible` is true or false.
    """

    name: ClassVar[str] = "csv"
    policies: ClassVar[frozenset[Policy]] = frozenset({"planned"})
    says: ClassVar[tuple[Fact, ...]] = FACTS
    Options: ClassVar[type[NoOptions]] = NoOptions

    def __init__(self, options: NoOptions) -> None:
        self.options = options

    def render(self, view: View) -> Files:
        """A file per table."""
        return {f"{name}.csv": _csv(COLUMNS[name], rows) for name, rows in tables(view).items()}

    def read(self, files: Files) -> Read:
        """What the files say. Raises FeedError with every file that is missing or no such table."""
        reasons: list[str] = []
        found = {name: _from_csv(f"{name}.csv", files, columns, reasons) for name, columns in COLUMNS.items()}
        if reasons:
            raise FeedError(tuple(reasons))
        return facts(found)


class Json:
    """Plain tables in one document.

    `plan-tables.json`, with the moment and the hash of the plan.
    """

    name: ClassVar[str] = "json"
    policies: ClassVar[frozenset[Policy]] = frozenset({"planned"})
    says: ClassVar[tuple[Fact, ...]] = FACTS
    Options: ClassVar[type[NoOptions]] = NoOptions
    file: ClassVar[str] = "plan-tables.json"

    def __init__(self, options: NoOptions) -> None:
        self.options = options

    def render(self, view: View) -> Files:
        """The document."""
        said = {
            "scenario": view.scenario,
            "plan_sha256": view.plan_sha256,
            "moment": view.moment._asdict(),
            **tables(view),
        }
        return {self.file: canonical_lines(said, ROW)}

    def read(self, files: Files) -> Read:
        """What the document says. Raises FeedError where it is missing or something else."""
        try:
            said = json.loads(files[self.file])
            found = {name: [_row(row, columns) for row in said[name]] for name, columns in COLUMNS.items()}
        except (KeyError, TypeError, ValueError) as error:
            raise FeedError((f"{self.file}: holds no tables of a plan: {error!r}; render it again",)) from error
        return facts(found)


def _csv(columns: Columns, rows: list[Row]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns.names)
    writer.writerows([_cell(row[name]) for name in columns.names] for row in rows)
    return text.getvalue().encode()


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return " ".join(value) if isinstance(value, list) else str(value)


def _from_csv(file: str, files: Files, columns: Columns, reasons: list[str]) -> list[Row]:
    if file not in files:
        reasons.append(f"{file}: is missing; render it again")
        return []
    lines = list(csv.reader(io.StringIO(files[file].decode(), newline=""), strict=True))
    if not lines or tuple(lines[0]) != columns.names:
        reasons.append(f"{file}: has not the columns {','.join(columns.names)}")
        return []
    found = []
    for number, line in enumerate(lines[1:], start=2):
        try:
            row: Row = dict(zip(columns.names, line, strict=True))
            found.append(_row({**row, **{name: int(row[name]) for name in columns.whole}}, columns))
        except ValueError as error:
            reasons.append(f"{file}: row {number}: {error}")
    return found


def _row(row: Row, columns: Columns) -> Row:
    """The row, if it has all columns and whole numbers, positive, where they belong."""
    if row.keys() != set(columns.names):
        raise ValueError(f"has the columns {', '.join(row)}, and not {', '.join(columns.names)}")
    for name in columns.whole:
        if type(row[name]) is not int or row[name] <= 0:
            raise ValueError(f"{name} is {row[name]!r}, and no whole number above 0")
    return row
