"""A generation as its readers see it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from placement.publish.manifest import moment_of, read_manifest


@dataclass(frozen=True)
class Generation:
    """What was published together, below `folder`: `plan/`, `feeds/`, `report/`, and documents about them.

    `facts` are the publisher's. `new` is false where nothing was published, as the current one says the same.
    """

    number: int
    name: str
    folder: Path
    facts: Mapping[str, Any]
    created_at: datetime
    content_key: str
    manifest_sha256: str
    new: bool = False


def open_generation(folder: Path, *, new: bool = False) -> Generation:
    """The generation that stands in `folder`, its files not looked at. Raises TamperedError."""
    manifest, digest = read_manifest(folder)
    return Generation(
        manifest.number,
        folder.name,
        folder,
        manifest.facts,
        moment_of(manifest.created_at),
        manifest.content_key,
        digest,
        new,
    )
