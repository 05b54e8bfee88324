"""What lies in a scenario folder: which file is which table."""

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from placement.scenario.dictionary import tables
from placement.scenario.findings import Finding, shortened
from placement.scenario.reading import SUFFIXES

MEASUREMENTS = "measurements"


@dataclass(frozen=True)
class Listing:
    """File names relative to the folder: of each table, and of every measurement, sorted."""

    tables: dict[str, str]
    measurements: tuple[str, ...]


def listing(folder: Path) -> tuple[Listing | None, list[Finding]]:
    """The files of a scenario; None where the folder cannot be listed. Missing and doubled tables are Findings."""
    try:
        names = sorted(path.name for path in folder.iterdir())
    except OSError as error:
        why = "there is no such folder" if not folder.exists() else shortened(error.strerror or error)
        mend = "Give the folder of a scenario, or the name of a bundled one (`nearserve datasets`)."
        return None, [Finding("unreadable", shortened(folder.name or str(folder)), why, mend)]
    found = [_unnameable(name) for name in names if not name.isprintable()]
    of_table: dict[str, str] = {}
    for name in filter(str.isprintable, names):
        stem, suffix = Path(name).stem, Path(name).suffix
        if suffix not in SUFFIXES or name.startswith("."):
            continue
        if stem not in tables():
            found.append(_stranger(name, stem))
        elif stem in of_table:
            message = f"{of_table[stem]} and {name} are both there"
            found.append(Finding("doubled-table", name, message, "Keep one of them: they hold the same table."))
        else:
            of_table[stem] = name
    for spec in tables().values():
        if spec.required and spec.name not in of_table:
            mend = f"Write {spec.name}.csv ({spec.description}) with the columns {_required(spec.name)}."
            message = f"the table {spec.name!r} is missing"
            found.append(Finding("missing-table", f"{spec.name}.csv", message, mend))
    measured, wrong = _measurements(folder)
    return Listing(of_table, measured), found + wrong


def _unnameable(name: str) -> Finding:
    mend = "Rename the file with ordinary letters."
    return Finding("unreadable", shortened(name), "the file's name cannot be printed: it is not read", mend)


def _required(name: str) -> str:
    return ", ".join(column.name for column in tables()[name].columns if column.required)


def _stranger(name: str, stem: str) -> Finding:
    close = get_close_matches(stem.casefold(), [*tables(), MEASUREMENTS], n=1, cutoff=0.75)
    if close and close[0] == MEASUREMENTS:
        return Finding("unknown-table", name, "measurements are a folder", f"Move the file into {MEASUREMENTS}/.")
    if close:
        return Finding("unknown-table", name, "no table has this name", f"Did you mean {close[0]}{Path(name).suffix}?")
    mend = "Rename it if a table was meant; else move it out of the folder."
    return Finding("unknown-table", name, "no table has this name: the file is not read", mend, severity="warning")


def _measurements(folder: Path) -> tuple[tuple[str, ...], list[Finding]]:
    place = folder / MEASUREMENTS
    if not place.is_dir():
        message = "the folder is missing: no latency is known, so nothing could be served"
        mend = "Put measurement files there; `nearserve import` reads those of other tools."
        return (), [Finding("missing-table", MEASUREMENTS, message, mend)]
    try:
        names = tuple(sorted(_walk(place, folder)))
    except OSError as error:
        why = shortened(error.strerror or error)
        return (), [Finding("unreadable", MEASUREMENTS, f"cannot be listed: {why}", "Check its permissions.")]
    found = [_unnameable(name) for name in names if not name.isprintable()]
    names = tuple(filter(str.isprintable, names))
    if not names and not found:
        message = "the folder is empty: no latency is known but over links, if there are some"
        mend = "Put measurement files there; `nearserve import` reads those of other tools."
        return (), [Finding("no-measurements", MEASUREMENTS, message, mend, severity="warning")]
    return names, found


def _walk(place: Path, folder: Path) -> Iterator[str]:
    for path in place.iterdir():
        if path.name.startswith((".", "_")):
            continue
        if path.is_dir():
            yield from _walk(path, folder)
        elif path.is_file() or path.is_symlink():  # no pipes, no devices
            yield path.relative_to(folder).as_posix()
