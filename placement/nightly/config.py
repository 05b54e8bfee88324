"""What a person writes for the nightly job: one TOML file. Its paths are relative to it."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from probes.document import DocumentError, Part, read_document
from probes.importers import FORMATS
from probes.reading import BadRecord

Seconds = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]


def _format(name: str) -> str:
    if name not in FORMATS:
        raise ValueError(f"no such format; use one of {', '.join(FORMATS)}")
    return name


def _time_of_day(text: str) -> str:
    if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", text):
        raise ValueError("is no time of the day; write it in UTC, as 05:30")
    return text


class Ingest(Part):
    """Measurement files of one format that the night adds to the records it keeps.

    `max_bad_share`: of the measurements of a file; a file with more of them bad ends the night with all such files
    named. `required`: no file at all ends it, too. `source` and `target`: as of `nearserve import`.
    """

    files: Annotated[tuple[str, ...], Field(min_length=1)]
    format: Annotated[str, AfterValidator(_format)]
    source: str | None = None
    target: str | None = None
    max_bad_share: Share = 0.01
    required: bool = True


class Demand(Part):
    """Demand from telemetry instead of the scenario's table: `config` is the file of `nearserve demand`."""

    config: str


class Planning(Part):
    """How the plan is made: as the options of `nearserve plan`.

    `warm`: begin with the published plan. `moves_from` = `published`: where [stability] of the scenario limits or
    prices moves, they are counted from the published plan; `scenario`: from what the scenario names. `date` =
    `tonight`: the scenario's planning_date is the day (UTC) of the night.
    """

    gap: Share = 0.01
    time_limit_s: Seconds | None = None
    work: Count | None = None
    method: Literal["auto", "exact", "scale"] = "auto"
    warm: bool = True
    moves_from: Literal["published", "scenario"] = "published"
    date: Literal["scenario", "tonight"] = "scenario"


class Deadline(Part):
    """When the plan must stand: at a time of the day (UTC), or so long after the night began.

    `publish_late`: a plan that comes too late is published all the same.
    """

    utc: Annotated[str, AfterValidator(_time_of_day)] | None = None
    seconds: Seconds | None = None
    publish_late: bool = False

    @model_validator(mode="after")
    def _one(self) -> "Deadline":
        if (self.utc is None) == (self.seconds is None):
            raise ValueError("a deadline is one of utc and seconds; give one of them")
        return self


class Gates(Part):
    """What a night may publish without being asked. A gate that is left out is not asked, but for those with a default.

    `max_added_replicas`, `max_moved_gpu_share` (GPUs of replicas that come or go, of all GPUs of replicas that stood),
    `max_cost_rise` and `max_cost_fall` (shares of the cost), `safe_steps` (no wave of the order of steps lacks
    capacity) and `max_missing_share` (of requests, in the worst wave) are about change: an approval lets them pass.
    `min_served_share`, `max_served_drop` (against the published plan), `max_gap`, `max_inferred_share` (of served
    requests, on pairs that nobody measured), `max_stale_share` (on pairs whose newest record is older than
    `stale_days`), `max_age_hours` (of the newest record of all) and `clock_ahead_s` (how far a record or a generation
    may lie in the future) are about quality: nothing lets them pass but a better plan.
    """

    max_added_replicas: Count | None = None
    max_moved_gpu_share: Annotated[float, Field(ge=0)] | None = None
    max_cost_rise: Annotated[float, Field(ge=0)] | None = None
    max_cost_fall: Share | None = None
    safe_steps: bool = False
    max_missing_share: Share | None = None
    min_served_share: Share | None = None
    max_served_drop: Share | None = None
    max_gap: Share | None = None
    max_inferred_share: Share | None = None
    max_stale_share: Share | None = None
    stale_days: Seconds = 7.0
    max_age_hours: Seconds | None = None
    clock_ahead_s: Annotated[float, Field(ge=0)] = 600.0
    approval: str | None = None


class Publish(Part):
    """Where generations stand. `config`: the file of `nearserve publish`, for signatures, etcd and retention."""

    folder: str = "published"
    config: str | None = None


class Metrics(Part):
    """The Prometheus textfile, in a folder that node_exporter's textfile collector reads."""

    textfile: str | None = None


class Nightly(Part):
    """The whole document, paths made absolute.

    `measurements`: folders of native records (a collector's) beside the scenario's own. `state`: where the night keeps
    its lock, its runs and the records that it ingested. `keep_runs`: finished runs whose folders stay. `open_hours`:
    how long a run that was broken off, or that waits for an approval, goes on with the inputs it has. `steps`: the diff
    says in which order the change is safe.
    """

    scenario: str
    state: str = "nightly-state"
    measurements: tuple[str, ...] = ()
    keep_runs: Annotated[int, Field(ge=1)] = 14
    open_hours: Seconds = 12.0
    audit_again: bool = True
    steps: bool = True
    feeds: str | None = None
    ingest: tuple[Ingest, ...] = ()
    demand: Demand | None = None
    plan: Planning = Planning()
    deadline: Deadline | None = None
    gates: Gates = Gates()
    publish: Publish = Publish()
    metrics: Metrics = Metrics()

    @model_validator(mode="after")
    def _steps(self) -> "Nightly":
        if not self.steps and (self.gates.safe_steps or self.gates.max_missing_share is not None):
            raise ValueError("steps = false leaves the gates safe_steps and max_missing_share without an answer")
        return self


def load(path: Path) -> Nightly:
    """The configuration in a TOML file.

    Raises:
        DocumentError: it cannot be used, or names files and folders that are not there; everything wrong is named.
    """
    config = _absolute(read_document(Nightly, path), path.resolve().parent)
    wrong = [
        BadRecord(str(path), 0, key, place, "there is no such file or folder", "correct the path, or make it")
        for key, place in _needed(config)
        if not Path(place).exists()
    ]
    if wrong:
        raise DocumentError(wrong)
    return config


def _needed(config: Nightly) -> list[tuple[str, str]]:
    """What must be there before a night begins, by key."""
    found = [("scenario", config.scenario), *(("measurements", folder) for folder in config.measurements)]
    found += [("feeds", config.feeds)] if config.feeds else []
    found += [("demand.config", config.demand.config)] if config.demand else []
    found += [("publish.config", config.publish.config)] if config.publish.config else []
    if config.metrics.textfile:
        found.append(("metrics.textfile", str(Path(config.metrics.textfile).parent)))
    return found


def _absolute(config: Nightly, base: Path) -> Nightly:
    def under(part: Any, *names: str) -> Any:
        given = {name: getattr(part, name) for name in names}
        return part.model_copy(update={name: str(base / text) for name, text in given.items() if text is not None})

    return under(config, "scenario", "state", "feeds").model_copy(  # type: ignore[no-any-return]
        update={
            "measurements": tuple(str(base / text) for text in config.measurements),
            "ingest": tuple(
                one.model_copy(update={"files": tuple(str(base / text) for text in one.files)}) for one in config.ingest
            ),
            "demand": None if config.demand is None else under(config.demand, "config"),
            "gates": under(config.gates, "approval"),
            "publish": under(config.publish, "folder", "config"),
            "metrics": under(config.metrics, "textfile"),
        }
    )
