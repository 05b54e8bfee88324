"""A plan's folder as it is read again: its document, and whether it is of the scenario as it is now."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from placement.plan.document import PlanDocument
from placement.scenario import Scenario


class PlanReadError(ValueError):
    """The folder holds no plan that can be read."""


class StalePlanError(ValueError):
    """The plan was made from other inputs than the scenario has now."""


class Read(NamedTuple):
    """plan.json as a value, and the hash of its bytes."""

    document: PlanDocument
    sha256: str


def read_document(folder: Path) -> Read:
    """plan.json of a plan folder; raises PlanReadError."""
    try:
        data = (folder / "plan.json").read_bytes()
        return Read(PlanDocument.model_validate_json(data), hashlib.sha256(data).hexdigest())
    except (OSError, ValueError) as error:
        raise PlanReadError(f"{folder}: {error}") from error


def check_fresh(document: PlanDocument, scenario: Scenario) -> None:
    """Raise StalePlanError, which names what differs, where the scenario's inputs are not those of the plan."""
    check_inputs(document.provenance.inputs_sha256, scenario)


def check_inputs(then: Mapping[str, str], scenario: Scenario) -> None:
    """As `check_fresh`, of the hashes that a plan was made from."""
    other = changed_inputs(then, scenario.sha256)
    if other:
        more = f" and {len(other) - 6} more" if len(other) > 6 else ""
        raise StalePlanError(f"the plan was made from other inputs than these: {', '.join(other[:6])}{more} differ")


def changed_inputs(then: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Inputs that are not the same, or there only once, sorted."""
    return sorted(name for name in {*then, *now} if then.get(name) != now.get(name))
