"""Reads routes.parquet without trusting it."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from placement.audit.plan_rows import BILLION, RouteRow
from placement.audit.report import Findings

COLUMNS = ("region", "model", "service", "slice", "period", "site", "shape", "failure", "share_ppb")
MAY_BE_NULL = ("slice", "period", "failure")


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
    found: dict[tuple[str, ...], RouteRow] = {}
    for j, row in enumerate(zip(*columns, strict=True)):
        region, model, service, slice_, period, site, shape, failure, share = row
        if not isinstance(share, int) or not 0 <= share <= BILLION:
            findings.check("format", False, _at(j), f"share_ppb {share!r} is no whole number from 0 to 10^9")
        elif not (region and model and service and site and shape) or failure == "":
            findings.check("format", False, _at(j), "a name is missing")
        elif (name := tuple(part or "" for part in row[:-1])) in found:
            findings.check("format", False, _at(j), f"{'/'.join(part for part in name if part)} is listed twice")
        else:
            key = (region, model, service, slice_ or "")
            found[name] = RouteRow(key, site, shape, share, failure or "", period or "")
    findings.counted("format", len(found))
    return tuple(found.values())


def _at(row: int) -> str:
    return f"routes.parquet row {row}"


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
    return bool(texts) or (bool(pa.types.is_null(kind)) and name in MAY_BE_NULL)
