"""provenance.json against the shape that in-toto and SLSA publish, and against the files that it speaks of."""

import hashlib
import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from placement.publish.provenance import Builder
from placement.publish.store import Store
from tests.publish.store_world import NIGHT, filling

DIGEST = {
    "type": "object",
    "minProperties": 1,
    "additionalProperties": False,
    "properties": {"sha256": {"type": "string", "pattern": "^[0-9a-f]{64}$"}},
}
RESOURCE = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "name": {"type": "string"},
        "uri": {"type": "string", "format": "uri"},
        "digest": DIGEST,
        "content": {"type": "string"},
        "downloadLocation": {"type": "string", "format": "uri"},
        "mediaType": {"type": "string"},
        "annotations": {"type": "object"},
    },
    "anyOf": [{"required": ["uri"]}, {"required": ["digest"]}, {"required": ["content"]}],
}
TIME = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$"}
STATEMENT = {
    "type": "object",
    "additionalProperties": False,
    "required": ["_type", "subject", "predicateType", "predicate"],
    "properties": {
        "_type": {"const": "https://in-toto.io/Statement/v1"},
        "subject": {"type": "array", "minItems": 1, "items": {**RESOURCE, "required": ["digest"]}},
        "predicateType": {"const": "https://slsa.dev/provenance/v1"},
        "predicate": {
            "type": "object",
            "additionalProperties": False,
            "required": ["buildDefinition", "runDetails"],
            "properties": {
                "buildDefinition": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["buildType", "externalParameters"],
                    "properties": {
                        "buildType": {"type": "string", "format": "uri"},
                        "externalParameters": {"type": "object"},
                        "internalParameters": {"type": "object"},
                        "resolvedDependencies": {"type": "array", "items": RESOURCE},
                    },
                },
                "runDetails": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["builder"],
                    "properties": {
                        "builder": {
                            "type": "object",
                            "additionalProperties": False,
                            "required": ["id"],
                            "properties": {
                                "id": {"type": "string", "format": "uri"},
                                "builderDependencies": {"type": "array", "items": RESOURCE},
                                "version": {"type": "object", "additionalProperties": {"type": "string"}},
                            },
                        },
                        "metadata": {
                            "type": "object",
                            "additionalProperties": False,
                            "properties": {"invocationId": {"type": "string"}, "startedOn": TIME, "finishedOn": TIME},
                        },
                        "byproducts": {"type": "array", "items": RESOURCE},
                    },
                },
            },
        },
    },
}
"""Statement and ResourceDescriptor of the in-toto Attestation Framework v1, predicate of SLSA Provenance v1.0, with a
DigestSet narrowed to SHA-256. Written down from the specifications, not from our code."""

INPUTS = {"demand.csv": "d" * 64, "sites.csv": "5" * 64}
PLAN = {
    "provenance": {
        "inputs_sha256": INPUTS,
        "versions": {"nearserve": "0.1.0", "ortools": "9.15"},
        "parameters": {"gap": 0.01},
        "work": 200,
        "seed": 7,
        "previous_plan": None,
    }
}


def fill(folder: Path) -> None:
    filling("a")(folder)
    (folder / "plan" / "plan.json").write_text(json.dumps(PLAN))


def published(root: Path, at: datetime = NIGHT) -> tuple[Path, dict[str, Any]]:
    builder = Builder("https://nightly.example.org/edge", {"site": "fra"})
    with Store(root, builder=builder).writing(lambda: at) as writer:
        generation = writer.publish(fill, {"scenario": "edge"}, "a", started_at=at - timedelta(minutes=5))
    return generation.folder, json.loads((generation.folder / "provenance.json").read_bytes())


def test_it_has_the_published_shape_and_says_where_everything_comes_from(tmp_path: Path) -> None:
    folder, statement = published(tmp_path)
    jsonschema.Draft202012Validator(STATEMENT).validate(statement)
    subjects = {each["name"]: each["digest"]["sha256"] for each in statement["subject"]}
    files = {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path.name not in ("manifest.json", "provenance.json")
    }
    assert subjects == files and len(files) == 4
    definition, run = statement["predicate"]["buildDefinition"], statement["predicate"]["runDetails"]
    found = {each["name"]: each["digest"]["sha256"] for each in definition["resolvedDependencies"]}
    assert found == INPUTS
    assert definition["externalParameters"] == {
        "facts": {"scenario": "edge"},
        "plan": {"parameters": {"gap": 0.01}, "seed": 7, "work": 200},
    }
    assert run["builder"]["id"] == "https://nightly.example.org/edge"
    assert run["builder"]["version"] == {"nearserve": "0.1.0", "ortools": "9.15", "site": "fra"}
    assert run["metadata"] == {"startedOn": "2021-11-22T02:55:00.000000Z", "finishedOn": "2021-11-22T03:00:00.000000Z"}


def test_the_same_input_gives_the_same_bytes_but_for_the_times(tmp_path: Path) -> None:
    first, one = published(tmp_path / "1")
    again, two = published(tmp_path / "2")
    for name in ("manifest.json", "provenance.json"):
        assert (first / name).read_bytes() == (again / name).read_bytes()
    _, late = published(tmp_path / "3", NIGHT + timedelta(hours=1))
    assert late != one == two
    for each in (one, late):
        del each["predicate"]["runDetails"]["metadata"]
    assert late == one


def test_a_statement_of_other_files_is_found_out(tmp_path: Path) -> None:
    """Even by who could write the manifest anew: the two must speak of the same files."""
    folder, statement = published(tmp_path)
    from placement.publish.manifest import File, read_manifest  # noqa: PLC0415
    from placement.publish.verify import _provenance  # noqa: PLC0415

    manifest, _ = read_manifest(folder)
    assert _provenance(folder, manifest) == []
    other = File(sha256="0" * 64, bytes=1, mode="0444")
    changed = manifest.model_copy(update={"files": {**manifest.files, "plan/plan.json": other}})
    assert len(_provenance(folder, changed)) == 1
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(STATEMENT).validate({**statement, "subject": []})
