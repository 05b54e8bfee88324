"""What Prometheus is told of a night, in a textfile that appears whole; nothing of an earlier success is forgotten."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, Gauge, generate_latest

from probes.whole_file import write_whole

PREFIX = "nearserve_nightly_"
LAST = "last.json"
FIGURES = {
    "gap": "Verified gap of the plan",
    "served_share": "Share of requests that the plan serves",
    "cost_usd_month": "What the plan costs, USD a month",
    "inferred_share": "Share of served requests on pairs that nobody measured",
    "stale_share": "Share of served requests on pairs without a recent record",
    "added_replicas": "Replicas added to those of the published plan",
    "moved_gpu_share": "GPUs of replicas that come or go, of those that stood",
    "cost_rise": "How much more the plan costs than the published one, as a share",
    "served_drop": "How much less the plan serves than the published one, as a share",
    "short_waves": "Waves of the change that lack capacity",
    "missing_share": "Share of requests that the worst wave of the change lacks capacity for",
    "age_hours": "Age of the newest measurement, hours",
}

_LOG = structlog.get_logger("nearserve.nightly")


@dataclass(frozen=True)
class Told:
    """What of a night is told. `figures` without those that nobody knows; `gates` by name: 1 holds, 0 refuses."""

    ran_s: float  # when, since 1970
    exit_code: int
    stage: str = ""
    reason: str = ""
    running: bool = False
    seconds: float | None = None
    stages: Mapping[str, float] | None = None
    figures: Mapping[str, float | None] | None = None
    gates: Mapping[str, bool] | None = None
    generation: int | None = None
    generation_s: float | None = None
    peak_bytes: int | None = None


def text(told: Told, last_success_s: float | None) -> bytes:
    """The metrics in Prometheus' text format."""
    registry = CollectorRegistry()

    def gauge(name: str, says: str, *labels: str) -> Gauge:
        return Gauge(PREFIX + name, says, labels, registry=registry)

    if last_success_s is not None:
        gauge("last_success_timestamp_seconds", "When a night last ended well, since 1970").set(last_success_s)
    gauge("last_run_timestamp_seconds", "When the last night began, since 1970").set(told.ran_s)
    gauge("running", "1 while a night runs; it stays 1 where one was killed").set(told.running)
    failed = gauge("failed", "1 where the last night published nothing that it should have", "stage", "reason")
    if told.running:
        return generate_latest(registry)
    if told.exit_code:
        failed.labels(told.stage, told.reason).set(1)
    gauge("exit_code", "Exit code of the last night").set(told.exit_code)
    if told.seconds is not None:
        gauge("duration_seconds", "How long the last night took").set(told.seconds)
    if told.peak_bytes is not None:
        gauge("peak_memory_bytes", "The most memory that it held").set(told.peak_bytes)
    stages = gauge("stage_duration_seconds", "How long a stage took when it was last made", "stage")
    for name, seconds in (told.stages or {}).items():
        stages.labels(name).set(seconds)
    for name, says in FIGURES.items():
        value = (told.figures or {}).get(name)
        if value is not None:
            gauge(name, says).set(value)
    holds = gauge("gate_holds", "1 where a gate holds, 0 where it refuses", "gate")
    for name, verdict in (told.gates or {}).items():
        holds.labels(name).set(verdict)
    if told.generation is not None:
        gauge("generation", "Number of the generation that is published").set(told.generation)
    if told.generation_s is not None:
        gauge("generation_timestamp_seconds", "When it was published, since 1970").set(told.generation_s)
    return generate_latest(registry)


def locked_text(now_s: float) -> bytes:
    """What a night says that found another at work, beside that one's metrics."""
    registry = CollectorRegistry()
    name = "locked_timestamp_seconds"
    Gauge(PREFIX + name, "When a night last found another at work", registry=registry).set(now_s)
    return generate_latest(registry)


def write(textfile: str | None, data: bytes) -> None:
    """Replace the textfile. That it cannot be written ends no night: the age of the last success will tell."""
    if textfile is None:
        return
    try:
        write_whole(Path(textfile), data)
    except OSError as error:
        _LOG.error("metrics_not_written", path=textfile, error=str(error.strerror or error))


def beside(textfile: str | None) -> str | None:
    """The file for what a locked-out night says."""
    return None if textfile is None else str(Path(textfile).with_suffix("")) + "-locked.prom"


def last_success_s(state: Path) -> float | None:
    """When a night last ended well; None where none did."""
    try:
        value: Any = json.loads((state / LAST).read_bytes())["last_success_s"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return float(value) if isinstance(value, int | float) else None


def keep_success(state: Path, now_s: float) -> None:
    """Remember that a night ended well. Raises OSError where that cannot be written."""
    write_whole(state / LAST, json.dumps({"last_success_s": now_s}).encode() + b"\n", durable=True)
