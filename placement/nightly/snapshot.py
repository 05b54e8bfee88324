"""The inputs of a night as they stood at one moment, in a folder that nothing else writes.

    inputs/scenario/                          tables copied, demand from telemetry in its place
    inputs/scenario/measurements/own/         those of the scenario's folder
    inputs/scenario/measurements/ingested/    those of the files that nights ingested
    inputs/scenario/measurements/folder-1/    those of the configuration's folders
    inputs/previous/                          the published plan

Files that the measurement store wrote are linked: it never changes a file, it writes new ones. All others are copied.
"""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from placement.nightly.config import Nightly
from placement.nightly.faults import Fault
from placement.nightly.folders import copy_tree, file_sha256
from placement.nightly.journal import key_of
from placement.nightly.toml_edit import with_value, without
from placement.scenario.document import FILE, Document, parse
from probes.folder import StandingFile, standing_files
from probes.store import DAY

SCENARIO, PREVIOUS = "scenario", "previous"
MEASUREMENTS = "measurements"
TABLES = (".csv", ".parquet")
LOOKS = 20


def take(config: Nightly, into: Path, ingested: Path, demand: Path | None, plan: Path | None, day: str) -> None:
    """Copy and link the inputs into the folder `into`; `plan` is the published one, None where there is none.

    Raises:
        Fault: something of it is missing or cannot be read.
    """
    source, target = Path(config.scenario), into / SCENARIO
    target.mkdir()
    for path in _tables(source):
        shutil.copyfile(path, target / path.name)
    if demand is not None:
        for path in target.glob("demand.*"):
            path.unlink()
        for path in demand.iterdir():
            if path.name.startswith("demand."):
                shutil.copyfile(path, target / path.name)
    folders = {"own": source / MEASUREMENTS, "ingested": ingested}
    folders |= {f"folder-{number}": Path(folder) for number, folder in enumerate(config.measurements, 1)}
    for name, folder in folders.items():
        if folder.is_dir():
            _measurements(folder, target / MEASUREMENTS / name)
    if plan is not None:
        copy_tree(plan, into / PREVIOUS)
    _settle(config, source, target, into, plan, day)


def tables_sha256(config: Nightly) -> str:
    """The hash of the scenario's tables and document, as their owner last wrote them."""
    return key_of({path.name: file_sha256(path) for path in _tables(Path(config.scenario))})


def document_of(config: Nightly) -> Document | None:
    """The scenario's document as its owner wrote it; None where it cannot be read, which the check will say."""
    try:
        return parse((Path(config.scenario) / FILE).read_text("utf-8"))[0]
    except (OSError, ValueError):
        return None


def _tables(folder: Path) -> list[Path]:
    try:
        paths = sorted(folder.iterdir())
    except OSError as error:
        raise Fault("missing_file", f"{folder}: {error.strerror or error}; the scenario should stand there") from error
    return [path for path in paths if path.name == FILE or (path.suffix in TABLES and path.name[0] not in "._")]


def _settle(config: Nightly, source: Path, target: Path, into: Path, plan: Path | None, day: str) -> None:
    """The copy's document: the night's day, and what moves are counted from, where the configuration says so."""
    document = document_of(config)
    if document is None:
        return  # the check says what is wrong with it
    text = (target / FILE).read_text("utf-8")
    wanted: dict[tuple[str, ...], Any] = {}
    if config.plan.date == "tonight":
        wanted["planning_date",] = day
        text = with_value(text, (), "planning_date", day)
    stability = document.stability
    if config.plan.moves_from == "published" and stability != type(stability)():
        if plan is None:  # the first night: whatever is added is added to nothing
            for key in ("max_moves", "usd_per_move", "previous_plan"):
                text = without(text, ("stability",), key)
                wanted["stability", key] = None
        else:
            text = with_value(text, ("stability",), "previous_plan", f'"../{PREVIOUS}"')
            wanted["stability", "previous_plan"] = f"../{PREVIOUS}"
    elif stability.previous_plan is not None:
        theirs = source / stability.previous_plan
        if theirs.is_dir():
            copy_tree(theirs, into / "counted-from")
        text = with_value(text, ("stability",), "previous_plan", '"../counted-from"')
        wanted["stability", "previous_plan"] = "../counted-from"
    _verify(text, document, wanted)
    (target / FILE).write_text(text, "utf-8")


def _verify(text: str, document: Document, wanted: Mapping[tuple[str, ...], Any]) -> None:
    """That the changed text says what it said, but for what was to change."""
    after, expected = parse(text)[0], document.model_dump(mode="json")
    for keys, value in wanted.items():
        table = expected
        for key in keys[:-1]:
            table = table[key]
        table[keys[-1]] = value
    if after is None or after.model_dump(mode="json") != expected:
        names = ", ".join(".".join(keys) for keys in wanted)
        message = f"{FILE}: {names} cannot be set; write each on a line of its own, tables as [stability]"
        raise Fault("bad_scenario", message)


def _measurements(source: Path, target: Path) -> None:
    """Every file whose records count, at one moment; others may write and compact meanwhile."""
    for _ in range(LOOKS):
        shutil.rmtree(target, ignore_errors=True)
        standing = standing_files(source)
        if standing.foreign:
            raise Fault("bad_records", "\n".join(str(record) for record in standing.foreign))
        if all(_take(file, target / file.path.relative_to(source)) for file in standing.files):
            return
    raise Fault("bad_records", f"{source}: files change all the time; write them beside it and move them in")


def _take(file: StandingFile, target: Path) -> bool:
    """Link or copy a file; false where it is gone or has changed meanwhile."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        if file.path.parent.name.startswith(DAY) and file.path.suffix == ".parquet" and _linked(file.path, target):
            return True
        shutil.copyfile(file.path, target)
    except FileNotFoundError:
        return False
    return file.stands()


def _linked(path: Path, target: Path) -> bool:
    """Another name for the same file; false where the file system or its owner has something against it."""
    try:
        os.link(path, target)
    except FileNotFoundError:
        raise
    except OSError:
        return False
    return True
