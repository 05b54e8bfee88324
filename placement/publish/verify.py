"""Whether generations are what was published, and by whom: every finding names its file."""

import json
from pathlib import Path

from placement.publish.errors import TamperedError
from placement.publish.layout import NAME, Layout
from placement.publish.manifest import PROVENANCE, Manifest, differences, read_manifest
from placement.publish.signature import Trust
from placement.publish.state import Standing, State


def findings_of(folder: Path, expected: Standing, trust: Trust | None) -> list[str]:
    """What is not as published below `folder`; nothing where everything is.

    Raises SigningError where the list of allowed signers cannot be used.
    """
    if not folder.is_dir():
        return [f"{folder}: is missing"]
    try:
        manifest, digest = read_manifest(folder)
    except TamperedError as error:
        return list(error.findings)
    found = []
    if digest != expected.manifest_sha256:
        found.append(f"{folder / 'manifest.json'}: is not the one that the ledger knows of")
    if trust is not None:
        found += trust.refusals(folder)
    found += differences(folder, manifest.files)
    return found + _provenance(folder, manifest)


def strangers(layout: Layout, state: State) -> list[str]:
    """What lies among the generations and is none; what a writer is making just now is no stranger."""
    there = sorted(path.name for path in layout.generations.iterdir()) if layout.generations.is_dir() else []
    return [
        f"{layout.generations / name}: is no generation that the ledger knows of"
        for name in there
        if name not in state.names and not _being_made(name, state)
    ]


def _being_made(name: str, state: State) -> bool:
    return name.startswith((".new-", ".old-")) or (
        NAME.fullmatch(name) is not None and int(name.partition("-")[0]) > state.highest
    )


def _provenance(folder: Path, manifest: Manifest) -> list[str]:
    """Whether the provenance speaks of these files."""
    try:
        statement = json.loads((folder / PROVENANCE).read_bytes())
        subjects = {each["name"]: each["digest"]["sha256"] for each in statement["subject"]}
    except (OSError, ValueError, KeyError, TypeError):
        return [f"{folder / PROVENANCE}: is no provenance"]
    files = {path: file.sha256 for path, file in manifest.files.items() if path != PROVENANCE}
    return [] if subjects == files else [f"{folder / PROVENANCE}: speaks of other files than the manifest"]
