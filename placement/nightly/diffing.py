"""The stage that says what would change, and whether somebody has approved it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from placement.nightly.faults import Fault
from placement.nightly.gates import Verdict
from placement.nightly.runs import json_bytes

if TYPE_CHECKING:
    from placement.diff.changes import Changes
    from placement.diff.document import DiffDocument, Steps
    from placement.scenario import Scenario
    from placement.topology.pairs import Pairs

DIFF = "diff.json"

_LOG = structlog.get_logger("nearserve.nightly")


@dataclass(frozen=True)
class Difference:
    """The change in figures; all of it stands in diff.json."""

    facts: dict[str, Any]


def differ(
    old: Path | None, new: Path, scenario: "Scenario", pairs: "Pairs", into: Path, *, steps: bool = True
) -> Difference:
    """What changes from the published plan, None for nothing, to the new one, and in which order of safe steps.

    All of it is written to diff.json of the folder, without the order where there is none.
    """
    from placement.diff.changes import changes  # noqa: PLC0415

    found = changes(old, new, scenario, pairs)
    said = (_ordered(found) if steps else None) or found.said
    document = said.model_dump(mode="json", by_alias=True)
    (into / DIFF).write_bytes(json_bytes(document))
    names = ("counts", "before", "after", "capex_usd")
    facts = {name: document[name] for name in names}
    facts |= {
        "changes_site": document["traffic"]["changes_site"],
        "steps": None if said.steps is None else _brief(said.steps),
    }
    return Difference(facts)


def _ordered(found: "Changes") -> "DiffDocument | None":
    """With the order of safe steps; None where none was found, which the gates about it then refuse."""
    from placement.diff.steps import with_steps  # noqa: PLC0415
    from placement.diff.waves import NoOrderError  # noqa: PLC0415

    try:
        return with_steps(found)
    except NoOrderError as error:
        _LOG.warning("no_order", message=str(error))
        return None


def _brief(steps: "Steps") -> dict[str, Any]:
    """The order in figures. A wave is short where it takes from a class more than rounding does."""
    from placement.diff.waves import ROUNDING_PPB  # noqa: PLC0415

    short = [wave for wave in steps.waves if any(part.share_ppb > ROUNDING_PPB for part in wave.missing)]
    return {
        "method": steps.method,
        "waves": len(steps.waves),
        "short_waves": len(short),
        "missing_share": steps.worst_missing_share,
        "seconds": steps.seconds,
    }


def approved(
    verdicts: Sequence[Verdict], file: str | None, old: Path | None, new: Path, scenario: "Scenario", now: datetime
) -> tuple[Verdict, ...]:
    """The verdicts, those about change let pass where an approval of exactly this change stands in the file.

    Raises:
        Fault: the file is none, or of another change, or not for now.
    """
    from placement.diff.approval import BadApprovalError, StaleApprovalError, check_approval  # noqa: PLC0415

    if file is None or not Path(file).exists():
        return tuple(verdicts)
    try:
        by = check_approval(Path(file), old, new, scenario, now).by
    except BadApprovalError as error:
        raise Fault("approval", str(error)) from error
    except StaleApprovalError as error:
        refused = "\n".join(str(one) for one in verdicts if not one.holds)
        raise Fault("approval", f"{refused}\n{error}") from error
    return tuple(
        replace(one, holds=True, approved_by=by) if one.kind == "change" and not one.holds else one for one in verdicts
    )
