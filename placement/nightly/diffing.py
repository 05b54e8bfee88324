"""The stage that says what would change, and whether somebody has approved it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from placement.nightly.faults import Fault
from placement.nightly.gates import Verdict
from placement.nightly.runs import json_bytes

if TYPE_CHECKING:
    from placement.scenario import Scenario
    from placement.topology.pairs import Pairs

DIFF = "diff.json"


@dataclass(frozen=True)
class Difference:
    """The change in figures; all of it stands in diff.json."""

    facts: dict[str, Any]


def differ(old: Path | None, new: Path, scenario: "Scenario", pairs: "Pairs", into: Path) -> Difference:
    """What changes from the published plan, None for nothing, to the new one; written to diff.json of the folder."""
    from placement.diff.changes import changes  # noqa: PLC0415

    found = changes(old, new, scenario, pairs)
    document = found.document()
    (into / DIFF).write_bytes(json_bytes(document))
    names = ("counts", "before", "after", "capex_usd")
    facts = {name: document[name] for name in names}
    return Difference(facts | {"changes_site": document["traffic"]["changes_site"]})


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
