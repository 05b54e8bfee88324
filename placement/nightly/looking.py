"""What a snapshot holds: its findings, its network, and how old and how sure that is."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from placement.nightly.faults import Fault
from placement.nightly.runs import json_bytes

if TYPE_CHECKING:
    from placement.scenario import Scenario
    from placement.topology import Topology
    from placement.topology.pairs import Pairs

FINDINGS = "findings.json"
SHOWN = 20


def check(folder: Path, into: Path) -> tuple["Scenario", dict[str, Any]]:
    """The scenario of the snapshot, its findings written into the folder.

    Raises:
        Fault: it has errors, or rules that cannot be honoured yet; all are named.
    """
    from placement.scenario import inspect  # noqa: PLC0415

    report = inspect(folder)
    findings = [{"severity": f.severity, "rule": f.rule, "says": str(f)} for f in (*report.findings, *report.later)]
    (into / FINDINGS).write_bytes(json_bytes(findings))
    wrong = (*report.errors, *report.later)
    if report.scenario is None or wrong:
        more = [f"and {len(wrong) - SHOWN} more"] if len(wrong) > SHOWN else []
        raise Fault("bad_scenario", "\n".join([*(str(f) for f in wrong[:SHOWN]), *more]), findings=len(wrong))
    return report.scenario, {
        "scenario": report.scenario.document.name,
        "warnings": len(report.warnings),
        "assumed": len(report.assumed),
        "sha256": dict(report.scenario.sha256),
    }


def topology(scenario: "Scenario", into: Path) -> tuple["Topology", dict[str, Any]]:
    """What is known of every pair, written as `nearserve topology -o` writes it, but for what is only for the eye.

    Raises:
        Fault: a file of measurements is none.
    """
    from placement.topology import build_pairs  # noqa: PLC0415
    from placement.topology.drift.findings import FINDINGS as GATES  # noqa: PLC0415
    from placement.topology.drift.findings import findings, write_findings  # noqa: PLC0415
    from placement.topology.drift.stored import PAIRS, PLACES, write_places  # noqa: PLC0415
    from placement.topology.export import write_pairs  # noqa: PLC0415
    from placement.topology.pairs import State  # noqa: PLC0415
    from probes.reading import BadRecordsError  # noqa: PLC0415

    try:
        found = build_pairs(scenario)
    except BadRecordsError as error:
        raise Fault("bad_records", str(error)) from error
    write_pairs(found, into / PAIRS)
    write_places(found, into / PLACES)
    told = findings(found, scenario.table("endpoints"))
    write_findings(told, into / GATES)
    states = {state.name.lower(): int((found.pairs.rtt_state == state).sum()) for state in State}
    newest = float(np.nanmax(found.pairs.observed_at_s, initial=-np.inf))
    facts = {
        "pairs": states,
        "newest_at_s": newest if np.isfinite(newest) else None,
        "gate_findings": len(told),
        "unmapped_names": len(found.unmapped),
    }
    return found, facts


def read_pairs(folder: Path) -> "Pairs":
    """The pairs that a run wrote before it was broken off."""
    from placement.topology.drift.stored import read_stored  # noqa: PLC0415

    return read_stored(folder)[0].pairs


def age_hours(newest_at_s: float | None, now: datetime) -> float | None:
    """Hours from the newest record of a pair to now, less than 0 where it lies in the future; None: there is none."""
    return None if newest_at_s is None else (now.timestamp() - newest_at_s) / 3600.0
