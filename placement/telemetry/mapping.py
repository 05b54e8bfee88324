"""Labels to classes: by the labels themselves, by a cluster's name, or by a table that lists them."""

import csv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from placement.feeds.naming import name_of
from placement.telemetry.config import CLASS, Classes
from placement.telemetry.errors import TelemetryError

Class = tuple[str, str, str]
Values = tuple[str, ...]


def mapping(classes: Classes, template: str | None = None) -> tuple[tuple[str, ...], Callable[[Values], Class]]:
    """The labels that tell classes apart, sorted, and the class that their values stand for.

    What a table does not list keeps its labels' values as its names, so that it can be named where nothing has them.

    Raises:
        TelemetryError: the table cannot be read; every fault at once.
    """
    labels = classes.labels(template)
    listed, named = _table(classes.table) if classes.table else ({}, ())
    wanted = named if classes.table else tuple(sorted(set(labels.values())))
    place = {label: j for j, label in enumerate(wanted)}

    def class_of(values: Values) -> Class:
        if not classes.table:
            return _verbatim(labels, classes.fixed, place, values)
        unlisted = ", ".join(f"{label}={value}" for label, value in zip(wanted, values, strict=True))
        return listed.get(values, (unlisted, "", ""))

    return wanted, class_of


def _verbatim(labels: Mapping[str, str], fixed: Mapping[Any, str], place: Mapping[str, int], values: Values) -> Class:
    """The class by the labels' own values; "" for what a series has no label of."""
    if "cluster" in labels:
        whole = values[place[labels["cluster"]]]
        parts = whole.split("/")
        try:
            region, model, service = (name_of(part) for part in parts)
        except ValueError:  # not three parts, or not ours
            return (whole, "", "")
        return (region, model, service)
    region, model, service = (fixed.get(name) or values[place[labels[name]]] for name in CLASS)
    return (region, model, service)


def _table(path: Path) -> tuple[dict[Values, Class], tuple[str, ...]]:
    """The classes that a table lists, by label values in the order of the labels, sorted."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            header, rows = [name.strip() for name in reader.fieldnames or ()], list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise TelemetryError(f"{path}: cannot be read: {error}") from error
    absent = [name for name in CLASS if header.count(name) != 1]
    labels = tuple(sorted(set(header) - set(CLASS)))
    if absent or not labels:
        what = f"the columns {', '.join(absent)} must stand once" if absent else "no column names a label"
        raise TelemetryError(f"{path}: {what}; a label that is itself called so is written label:region")
    found: dict[Values, Class] = {}
    wrong = []
    for line, row in enumerate(rows, 2):
        values, named = _cells(row, labels), _cells(row, CLASS)
        if "" in named or None in row:
            wrong.append(
                f"{path}:{line}: region, model and service must be filled, and no cell stand beyond the header"
            )
        elif values in found:
            wrong.append(f"{path}:{line}: the labels {', '.join(values)} stand twice; keep one")
        found[values] = (named[0], named[1], named[2])
    if wrong:
        raise TelemetryError(*wrong)
    return found, tuple(label.removeprefix("label:") for label in labels)


def _cells(row: Mapping[str, str | None], names: Sequence[str]) -> Values:
    return tuple((row.get(name) or "").strip() for name in names)
