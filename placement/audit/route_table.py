"""Reads routes.parquet without trusting it."""

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from placement.audit.facts import Key
from placement.audit.report import Findings

NAMES = ("region", "model", "service", "slice", "site", "shape")
COLUMNS = (*NAMES, "failure", "share_ppb")


@dataclass(frozen=True)
class RouteRow:
    """A share of a demand class in a slice, on a shape at a site."""

    key: Key
    site: str
    shape: str
    share_ppb: int


def read_routes(path: Path, findings: Findings) -> tuple[RouteRow, ...] | None:
    """The routes; None when the file cannot be read or its columns are not those of a plan."""
    try:
        table = pq.read_table(pa.BufferReader(path.read_bytes()))
        if not _columns_fit(table.schema, findings):
            return None
        columns = [table.column(name).to_pylist() for name in COLUMNS]
    except Exception as error:  # a damaged file may fail anywhere in the decoder, text that is not UTF-8 even later
        findings.check("format", False, "routes.parquet", f"cannot be read: {type(error).__name__}")
        return None
    found: dict[tuple[Key, str, str], RouteRow] = {}
    for j, (region, model, service, slice_, site, shape, failure, share) in enumerate(zip(*columns, strict=True)):
        where = f"routes.parquet row {j}"
        if failure is not None:
            findings.check("not honoured", False, where, f"a route for the failure of {failure!r} is not planned yet")
            continue
        whole = isinstance(share, int) and 0 <= share <= 10**9
        findings.check("format", whole, where, f"share_ppb {share!r} is no whole number from 0 to 10^9")
        named = all((region, model, service, site, shape))
        findings.check("format", named, where, "a name is missing")
        if not whole or not named:
            continue
        key = (region, model, service, slice_ or "")
        unique = (key, site, shape) not in found
        if findings.check("format", unique, where, f"{'/'.join(key)} to {shape} at {site} is listed twice"):
            found[(key, site, shape)] = RouteRow(key, site, shape, share)
    return tuple(found.values())


def _columns_fit(schema: pa.Schema, findings: Findings) -> bool:
    if not findings.check(
        "format", sorted(schema.names) == sorted(COLUMNS), "routes.parquet", f"columns are {schema.names}"
    ):
        return False
    kinds = {name: schema.field(name).type for name in COLUMNS}
    fit = [
        findings.check("format", _fits(name, kind), f"routes.parquet.{name}", f"is of type {kind}")
        for name, kind in kinds.items()
    ]
    return all(fit)


def _fits(name: str, kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if name == "share_ppb":
        return bool(pa.types.is_integer(kind))
    texts = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    return bool(texts) or (bool(pa.types.is_null(kind)) and name in ("failure", "slice"))
