"""What a published plan depends on, as one hash: where it is the same, nothing new is to be published."""

from collections.abc import Mapping
from datetime import date
from importlib.metadata import version
from typing import Any

from placement.nightly import snapshot
from placement.nightly.config import Nightly
from placement.nightly.journal import key_of

BESIDE = ("scenario.toml", "previous_plan")
"""Inputs that are hashed by what they mean, or that publishing itself changes."""


def identity(config: Nightly, inputs_sha256: Mapping[str, str], feeds_sha256: str | None, day: date) -> str:
    """The hash of all inputs, by the hashes that the check found, but for what publishing itself changes."""
    measured = {name for name in inputs_sha256 if name.startswith(f"{snapshot.MEASUREMENTS}/")}
    tables = inputs_sha256.keys() - measured - set(BESIDE)
    return key_of(
        {
            "tables": {name: inputs_sha256[name] for name in tables},
            "measurements": sorted(inputs_sha256[name] for name in measured),
            "document": _document(config, day),
            "plan": config.plan.model_dump(mode="json"),
            "feeds": feeds_sha256,
            "version": version("nearserve"),
        }
    )


def _document(config: Nightly, day: date) -> str | None:
    """The hash of the scenario's document as it is planned; None where it cannot be read."""
    from placement.scenario.fingerprint import document_sha256  # noqa: PLC0415

    document = snapshot.document_of(config)
    if document is None:
        return None
    changed: dict[str, Any] = {}
    if config.plan.moves_from == "published":
        changed["stability"] = document.stability.model_copy(update={"previous_plan": None})
    if config.plan.date == "tonight":
        changed["planning_date"] = day
    return document_sha256(document.model_copy(update=changed))
