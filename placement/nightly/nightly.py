"""One call for a whole night: the lock, the run, the stages, and how it ended, told to metrics and log."""

import traceback
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from time import monotonic
from typing import Any

import structlog

from placement.interrupting import Interrupted, never
from placement.nightly import deadline, metrics
from placement.nightly.config import Nightly
from placement.nightly.faults import CODES, OPEN, Fault, disk_is_full
from placement.nightly.night import Night
from placement.nightly.publishing import Target, fault_of, target_of
from placement.nightly.report import lines, peak_bytes, report
from placement.nightly.runs import forget, json_bytes, locked, open_run
from placement.nightly.tonight import Ending, Tonight
from placement.publish.errors import StoreError
from placement.publish.generation import Generation
from probes.document import DocumentError

_LOG = structlog.get_logger("nearserve.nightly")


def run_night(
    config: Nightly,
    now: datetime,
    *,
    dry_run: bool = False,
    fresh: bool = False,
    interrupted: Interrupted = never,
    tell: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Do a night's work and return its report, whose `exit_code` is the contract's; whatever goes wrong is in it.

    `now` is the wall clock's time. `fresh`: begin anew even where a run was broken off. Only AbortedError, the second
    signal, and what ends Python itself, come out of it.
    """
    began = monotonic()
    state = Path(config.state)
    try:
        target = target_of(config)
    except DocumentError as error:
        return refuse(config.metrics.textfile, state, now, Fault("bad_configuration", str(error)), "configuration")
    tonight = Tonight(config, now, deadline.ends(config.deadline, now), dry_run, interrupted, tell)
    try:
        with locked(state):
            _tell_metrics(config, metrics.Told(now.timestamp(), 0, running=True), state)
            return _held(tonight, target, state, began, fresh)
    except Fault as fault:  # before there was a run
        metrics.write(metrics.beside(config.metrics.textfile), metrics.locked_text(now.timestamp()))
        _LOG.error("refused", reason=fault.reason, message=fault.message, exit_code=fault.code)
        return early(fault, "lock")
    except OSError as error:
        mend = _of_disk(error)
        _tell_metrics(config, metrics.Told(now.timestamp(), mend.code, "state", mend.reason), state)
        return early(mend, "state")


def early(fault: Fault, stage: str) -> dict[str, Any]:
    """The report of a night that never began."""
    return {"exit_code": fault.code, "reason": fault.reason, "stage": stage, "message": fault.message}


def _held(tonight: Tonight, target: Target, state: Path, began: float, fresh: bool) -> dict[str, Any]:
    """The night once it has the lock."""
    run = open_run(state, tonight.now, tonight.config.open_hours, fresh=fresh)
    run.tell("begin", as_of=tonight.now.isoformat(), dry_run=tonight.dry_run)
    night = Night(tonight, run, target)
    ending = _ended(night)
    if ending.code == 0 and not tonight.dry_run:
        try:
            metrics.keep_success(state, tonight.now.timestamp())
        except OSError as error:
            ending = _ending_of(night, _of_disk(error))
    told = report(night, ending, monotonic() - began)
    if ending.generation is None and night.base is not None:
        told["published"]["generation"] = night.base.number
    _close(night, ending, told)
    _tell_metrics(tonight.config, _for_metrics(night, ending, told), state)
    level = _LOG.error if ending.code else _LOG.info
    level(
        "night",
        run=run.name,
        exit_code=ending.code,
        stage=ending.stage,
        reason=ending.reason,
        message=ending.message,
        generation=told["published"]["generation"],
        new=ending.new,
        seconds=told["seconds"],
    )
    return told


def _ended(night: Night) -> Ending:
    try:
        ending = night.go()
    except Exception as error:
        return _ending_of(night, _fault(error))
    ending.stage = night.stage
    return ending


def _fault(error: Exception) -> Fault:
    if isinstance(error, Fault):
        return error
    if isinstance(error, MemoryError):
        return Fault("crash", "out of memory; give it more, or plan a smaller scenario")
    of_store = fault_of(error)
    if of_store is not None:
        return of_store
    if isinstance(error, OSError):
        return _of_disk(error)
    told = "".join(traceback.format_exception(error))
    _LOG.error("crash", traceback=told)
    return Fault("crash", f"{type(error).__name__}: {error}", traceback=told)


def _of_disk(error: OSError) -> Fault:
    place = f"{error.filename}: " if error.filename else ""
    if disk_is_full(error):
        return Fault("disk_full", f"{place}{error.strerror}; make room and run again, it goes on where it stood")
    return Fault("cannot_write", f"{place}{error.strerror or error}; mend that and run again")


def _ending_of(night: Night, fault: Fault) -> Ending:
    return Ending(fault.code, fault.reason, night.stage, fault.message, fault.details)


def _close(night: Night, ending: Ending, told: dict[str, Any]) -> None:
    """The report into the run's folder, the end into its journal; old runs go. A full disk keeps none of it."""
    run = night.run
    still = ending.reason in OPEN and not night.tonight.dry_run
    with suppress(OSError):
        (run.folder / "report.json").write_bytes(json_bytes(told))
        (run.folder / "report.txt").write_text("\n".join(lines(told)) + "\n", "utf-8")
        run.tell("end", code=ending.code, reason=ending.reason, stage=ending.stage, open=still)
        standing = _standing(night)
        if standing is not None:  # else nobody knows which run made what is published
            needed = frozenset({night.run.name, str(standing.facts.get("run"))})
            forget(Path(night.config.state), night.config.keep_runs, needed)


def _standing(night: Night) -> Generation | None:
    """What is published; None also where that cannot be read, which was told of by then."""
    with suppress(StoreError, OSError):
        return night.store.current()
    return None


def _for_metrics(night: Night, ending: Ending, told: dict[str, Any]) -> metrics.Told:
    standing = _standing(night)
    stages = {one.stage: one.seconds for one in night.run.results.values()}
    return metrics.Told(
        ran_s=night.tonight.now.timestamp(),
        exit_code=ending.code,
        stage=ending.stage,
        reason=ending.reason,
        seconds=told["seconds"],
        stages=stages,
        figures=night.figures,
        gates={verdict.gate: verdict.holds for verdict in night.verdicts},
        generation=None if standing is None else standing.number,
        generation_s=None if standing is None else standing.created_at.timestamp(),
        peak_bytes=peak_bytes(),
    )


def _tell_metrics(config: Nightly, told: metrics.Told, state: Path) -> None:
    metrics.write(config.metrics.textfile, metrics.text(told, metrics.last_success_s(state)))


def refuse(textfile: str | None, state: Path | None, now: datetime, fault: Fault, stage: str) -> dict[str, Any]:
    """The report of a night whose configuration cannot be used; its metrics, as far as that says where they go."""
    told = metrics.Told(now.timestamp(), CODES[fault.reason], stage, fault.reason)
    metrics.write(textfile, metrics.text(told, None if state is None else metrics.last_success_s(state)))
    return early(fault, stage)
