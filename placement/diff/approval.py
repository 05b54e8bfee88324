"""An approval: somebody has looked at the change from one plan to another, and stands for it, for some time.

The file is bound to what was looked at by SHA-256: both plans' files and every input of the scenario. Where any of it
is another by now, where it has expired or was not given yet, the approval is stale.
"""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from pydantic import AwareDatetime, Field, ValidationError

from placement.diff.changes import Changes
from placement.diff.document import Value
from placement.diff.plans import UnreadablePlanError, file_sha256
from placement.plan.reading import changed_inputs
from placement.scenario import Scenario

LASTS = timedelta(hours=24)
FILES = {"plan_sha256": "plan.json", "routes_sha256": "routes.parquet"}


class StaleApprovalError(ValueError):
    """The approval is not for this change, or not for now; every difference is named."""

    def __init__(self, file: Path, reasons: tuple[str, ...]) -> None:
        told = "; ".join(reasons[:8]) + (f"; and {len(reasons) - 8} more" if len(reasons) > 8 else "")
        super().__init__(f"{file}: the approval does not hold: {told}. Look at `nearserve diff` and approve again.")
        self.reasons = reasons


class BadApprovalError(ValueError):
    """The file is no approval."""


class Hashes(Value):
    """SHA-256 of a plan's files."""

    plan_sha256: str
    routes_sha256: str


class Summary(Value):
    """What was approved, in figures, for whoever reads the file; hashes decide."""

    added_replicas: int
    removed: int
    moved: int
    reshaped: int
    servers_bought: int
    servers_rented: int
    servers_retired: int
    usd_month_before: float | None
    usd_month_after: float | None
    served_share_before: float | None
    served_share_after: float | None
    traffic_changes_site: float
    capex_usd: float | None


class Approval(Value):
    """Who approves which change, and until when; `old` null: nothing stood."""

    schema_: Literal["nearserve-approval-1"] = Field("nearserve-approval-1", alias="schema")
    scenario: str
    inputs_sha256: dict[str, str]
    old: Hashes | None
    new: Hashes
    summary: Summary
    by: str = Field(min_length=1)
    at: AwareDatetime
    expires: AwareDatetime

    def canonical(self) -> bytes:
        """The bytes of a file: sorted keys, two spaces, UTF-8, one newline at the end."""
        value = self.model_dump(mode="json", by_alias=True)
        return (json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False) + "\n").encode()


def approve(found: Changes, by: str, at: datetime, lasts: timedelta = LASTS) -> bytes:
    """The bytes of an approval of these changes by a person, at a time with a zone.

    Raises:
        ValueError: nobody is named, or the time has no zone.
    """
    said = found.said
    approval = Approval(
        schema="nearserve-approval-1",
        scenario=said.scenario,
        inputs_sha256=said.inputs_sha256,
        old=None if said.old is None else _hashes(said.old),
        new=_hashes(said.new),
        summary=_summary(found),
        by=by,
        at=at,
        expires=at + lasts,
    )
    return approval.canonical()


def check_approval(file: Path, old: Path | None, new: Path, scenario: Scenario, as_of: datetime) -> Approval:
    """The approval of the file, which is for exactly these plans and inputs and holds at `as_of`.

    Raises:
        StaleApprovalError: it does not.
        BadApprovalError: the file is no approval, or cannot be read.
        placement.diff.plans.UnreadablePlanError: a folder holds no plan.
    """
    approval = read_approval(file)
    reasons = [*_other_plan("old", old, approval.old), *_other_plan("new", new, approval.new)]
    if approval.scenario != scenario.document.name:
        reasons.append(f"it is for the scenario {approval.scenario!r}, not {scenario.document.name!r}")
    reasons += [f"{name} has changed since" for name in changed_inputs(approval.inputs_sha256, scenario.sha256)]
    if as_of < approval.at:
        reasons.append(f"it is from {approval.at.isoformat()}, and now is {as_of.isoformat()}")
    if as_of >= approval.expires:
        reasons.append(f"it has expired at {approval.expires.isoformat()}")
    if reasons:
        raise StaleApprovalError(file, tuple(reasons))
    return approval


def read_approval(file: Path) -> Approval:
    """The approval of a file, whether it holds or not. Raises BadApprovalError."""
    try:
        return Approval.model_validate_json(file.read_bytes())
    except OSError as error:
        raise BadApprovalError(f"{file}: cannot be read ({error.strerror or error})") from error
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, one['loc'])) or 'the file'}: {one['msg']}" for one in error.errors())
        message = f"{file}: no approval: {wrong}. `nearserve diff OLD NEW --approve FILE --by NAME` writes one."
        raise BadApprovalError(message) from error


def _other_plan(which: str, folder: Path | None, approved: Hashes | None) -> list[str]:
    """How the files of a plan differ from those that were approved."""
    if folder is None or approved is None:
        told = "that nothing stands" if approved is None else "another"
        return [] if (folder is None) == (approved is None) else [f"it was given for {told} as the {which} plan"]
    try:
        is_ = {name: file_sha256(folder / file) for name, file in FILES.items()}
    except OSError as error:
        raise UnreadablePlanError(f"{error.filename}: cannot be read ({error.strerror or error})") from error
    return [
        f"{folder / file} is not the one of the {which} plan that was approved"
        for name, file in FILES.items()
        if is_[name] != getattr(approved, name)
    ]


def _hashes(side: Any) -> Hashes:
    return Hashes(plan_sha256=side.plan_sha256, routes_sha256=side.routes_sha256)


def _summary(found: Changes) -> Summary:
    counts, before, after = found.counts, found.before, found.after
    names = set(Summary.model_fields) & set(type(counts).model_fields)
    return Summary(
        **{name: getattr(counts, name) for name in sorted(names)},
        usd_month_before=None if before.cost is None else before.cost.get("total"),
        usd_month_after=None if after.cost is None else after.cost.get("total"),
        served_share_before=before.served_share,
        served_share_after=after.served_share,
        traffic_changes_site=found.said.traffic.changes_site,
        capex_usd=found.said.capex_usd,
    )
