"""provenance.json: how a generation came to be, as an in-toto Statement v1 with a SLSA provenance v1 predicate.

Sources: in-toto Attestation Framework, spec/v1 (Statement, ResourceDescriptor, DigestSet); SLSA v1.0, Build
Provenance. The plan's own provenance holds the hashes of all inputs, and what made the plan. It is signed by way of
the manifest, which lists it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from placement.canonical import canonical_json
from placement.publish.manifest import PROVENANCE, File, written

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "urn:nearserve:publish:v1"
PLAN = "plan/plan.json"


@dataclass(frozen=True)
class Builder:
    """What publishes: `id` is a URI that its owner gives it, `version` by component."""

    id: str = "urn:nearserve:builder"
    version: Mapping[str, str] = field(default_factory=dict)


def provenance(
    folder: Path,
    files: Mapping[str, File],
    builder: Builder,
    facts: Mapping[str, Any],
    started_at: datetime | None,
    finished_at: datetime,
) -> bytes:
    """The bytes of provenance.json for the files that stand in `folder`; but for the times a function of those."""
    made = _plan_provenance(folder) if PLAN in files else {}
    planned = ("parameters", "seed", "work", "previous_plan")
    parameters = {"facts": dict(facts), "plan": {key: made[key] for key in planned if made.get(key) is not None}}
    times = {"finishedOn": written(finished_at)}
    if started_at is not None:
        times["startedOn"] = written(started_at)
    statement = {
        "_type": STATEMENT,
        "subject": [
            {"name": path, "digest": {"sha256": file.sha256}} for path, file in files.items() if path != PROVENANCE
        ],
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": parameters,
                "internalParameters": {},
                "resolvedDependencies": [
                    {"name": name, "digest": {"sha256": digest}}
                    for name, digest in sorted(made.get("inputs_sha256", {}).items())
                ],
            },
            "runDetails": {
                "builder": {"id": builder.id, "version": {**made.get("versions", {}), **builder.version}},
                "metadata": times,
            },
        },
    }
    return canonical_json(statement)


def _plan_provenance(folder: Path) -> dict[str, Any]:
    """What plan.json says of its own making."""
    try:
        found = json.loads((folder / PLAN).read_bytes())["provenance"]
    except (ValueError, KeyError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}
