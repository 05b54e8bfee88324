"""A small world for nights: the tiny scenario, a configuration, and nights at a time of the test's choice."""

import json
import re
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import tiny
from structlog.testing import capture_logs

from placement.interrupting import Interrupted, never
from placement.nightly.config import load
from placement.nightly.nightly import run_night
from placement.publish.generation import Generation
from placement.publish.store import Store

MEASURED = datetime(2025, 12, 31, tzinfo=UTC)
"""When the tiny scenario's records were made."""
NIGHT = MEASURED + timedelta(hours=26)

CONFIG = """
scenario = "scenario"
audit_again = false
[plan]
method = "scale"
work = 4
gap = 0.05
[metrics]
textfile = "nearserve.prom"
"""


class World:
    """A folder with a scenario and a configuration."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "nightly.toml"
        self.log: list[Any] = []

    def night(
        self,
        after: timedelta = timedelta(0),
        *,
        dry_run: bool = False,
        interrupted: Interrupted = never,
        tell: Callable[[str], None] = lambda _: None,
    ) -> dict[str, Any]:
        """The report of a night, `after` the first one's time."""
        with capture_logs() as self.log:
            return run_night(load(self.config), NIGHT + after, dry_run=dry_run, interrupted=interrupted, tell=tell)

    def configure(self, text: str) -> None:
        """More configuration, at the end of it; top-level keys are to come first."""
        self.config.write_text(self.config.read_text() + text)

    def first(self, text: str) -> None:
        """More configuration, at its beginning."""
        self.config.write_text(text + self.config.read_text())

    def demand(self, requests_per_s: float) -> None:
        """Another demand of paris: 8 in the beginning."""
        path = self.folder / "scenario" / "demand.csv"
        text = re.sub(r"(paris,m8,chat),[\d.]+,[\d.]+", rf"\1,{requests_per_s},{requests_per_s / 2}", path.read_text())
        path.write_text(text)

    @property
    def store(self) -> Store:
        return Store(self.folder / "published")

    def published(self) -> Generation | None:
        """What readers are led to, every byte of it as it was published."""
        found = self.store.current()
        assert found is None or self.store.verify((found.number,)) == ()
        return found

    def number(self) -> int | None:
        found = self.published()
        return None if found is None else found.number

    def metric(self, name: str, **labels: str) -> float | None:
        """A metric of the textfile; None where it is not told."""
        inside = ",".join(f'{key}="{value}"' for key, value in sorted(labels.items()))
        wanted = f"nearserve_nightly_{name}" + (f"{{{inside}}}" if inside else "")
        for line in (self.folder / "nearserve.prom").read_text().splitlines():
            if line.startswith(f"{wanted} "):
                return float(line.rpartition(" ")[2])
        return None

    def runs(self) -> list[Path]:
        """The folders of runs, the oldest first."""
        return sorted((self.folder / "nightly-state" / "runs").iterdir())

    def plan(self) -> dict[str, Any]:
        """The published plan."""
        found = self.published()
        assert found is not None
        return json.loads((found.folder / "plan" / "plan.json").read_bytes())


def made(folder: Path, changed: dict[str, str | None] | None = None) -> World:
    """A world in which nothing was published yet."""
    tiny.write(folder / "scenario", tiny.document_with("[quality]\nneighbours = false\n") | (changed or {}))
    (folder / "nightly.toml").write_text(CONFIG)
    return World(folder)


def copied(world: World, folder: Path) -> World:
    """The same world elsewhere."""
    shutil.copytree(world.folder, folder, symlinks=True)
    return World(folder)
