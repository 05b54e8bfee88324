"""manifest.json: every file of a generation with its hash, size and mode, and which generation it follows."""

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from placement.canonical import canonical_json
from placement.publish.durable import READ_ONLY_FILE
from placement.publish.errors import ContentError, TamperedError

MANIFEST = "manifest.json"
SIGNATURE = "manifest.json.sig"
PROVENANCE = "provenance.json"
OURS = frozenset({MANIFEST, SIGNATURE, PROVENANCE})
HASH = r"^[0-9a-f]{64}$"


class Value(BaseModel):
    """A value of a document that a store writes."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class File(Value):
    """A file as it was published; `mode` in octal."""

    sha256: str = Field(pattern=HASH)
    bytes: int = Field(ge=0)
    mode: str


class Predecessor(Value):
    """The generation that was current when this one was made."""

    number: int = Field(ge=1)
    manifest_sha256: str = Field(pattern=HASH)


class Manifest(Value):
    """A generation in one document; what is signed is its bytes."""

    schema_: Literal["nearserve-generation-1"] = Field(default="nearserve-generation-1", alias="schema")
    number: int = Field(ge=1)
    predecessor: Predecessor | None
    created_at: str
    content_key: str
    facts: dict[str, Any]
    files: dict[str, File]

    def canonical(self) -> bytes:
        """The bytes of manifest.json."""
        return canonical_json(self.model_dump(mode="json", by_alias=True))


def read_manifest(folder: Path) -> tuple[Manifest, str]:
    """A generation's manifest and the sha256 of its bytes; raises TamperedError where there is none to be read."""
    path = folder / MANIFEST
    try:
        data = path.read_bytes()
        return Manifest.model_validate_json(data), hashlib.sha256(data).hexdigest()
    except OSError as error:
        raise TamperedError([f"{path}: cannot be read ({error.strerror})"]) from error
    except ValidationError as error:
        raise TamperedError([f"{path}: is no manifest ({error.error_count()} faults)"]) from error


def files_of(folder: Path) -> dict[str, File]:
    """Every file below `folder` but the manifest and its signature, as it will be published, by its path.

    Raises:
        ContentError: there is something else than files and folders, or a name that is no text.
    """
    found, wrong = {}, []
    for path, kind in sorted(walk(folder)):
        if path in (MANIFEST, SIGNATURE):
            continue
        if kind != "file":
            wrong.append(f"{folder / path}: is {kind}; a generation holds plain files in folders")
        elif not path.isprintable():
            wrong.append(f"{path!r}: a file's name must be printable text")
        else:
            digest, size = hashed(folder / path)
            found[path] = File(sha256=digest, bytes=size, mode=f"{READ_ONLY_FILE:04o}")
    if wrong:
        raise ContentError("\n".join(wrong))
    return found


def walk(folder: Path, below: str = "") -> Iterator[tuple[str, str]]:
    """What lies below, but folders: paths with "/", and what each is: "file", "a link" or "something special"."""
    with os.scandir(folder) as entries:
        for entry in entries:
            path = below + entry.name
            if entry.is_symlink():
                yield path, "a link"
            elif entry.is_dir():
                yield from walk(Path(entry.path), path + "/")
            else:
                yield path, "file" if entry.is_file() else "something special"


def hashed(path: Path) -> tuple[str, int]:
    """A file's sha256 and its size, of the same bytes; never through a link."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    with open(handle, "rb", buffering=0) as file:  # noqa: PTH123
        digest = hashlib.file_digest(file, "sha256")
        return digest.hexdigest(), file.tell()


def content_hash(files: Mapping[str, File]) -> str:
    """One hash for what a generation says: its files but the provenance, which holds times."""
    digest = hashlib.sha256()
    for path in sorted(files):
        if path != PROVENANCE:
            digest.update(f"{files[path].sha256} {path}\n".encode())
    return digest.hexdigest()


def differences(folder: Path, files: Mapping[str, File]) -> list[str]:
    """What below `folder` is not as published, a line for each file."""
    found = []
    there = {path: kind for path, kind in walk(folder) if path not in (MANIFEST, SIGNATURE)}
    for path in sorted({*files, *there}):
        place = folder / path
        if path not in there:
            found.append(f"{place}: is missing")
        elif path not in files or there[path] != "file":
            found.append(f"{place}: is {there[path] if there[path] != 'file' else 'a file'} that was not published")
        else:
            found.extend(f"{place}: {why}" for why in _unlike(place, files[path]))
    return found


def _unlike(place: Path, file: File) -> Iterator[str]:
    try:
        digest, size = hashed(place)
        mode = f"{stat.S_IMODE(place.lstat().st_mode):04o}"
    except OSError as error:
        yield f"cannot be read ({error.strerror})"
        return
    if (digest, size) != (file.sha256, file.bytes):
        now, then = f"sha256 {digest[:12]}... of {size:,} bytes", f"{file.sha256[:12]}... of {file.bytes:,}"
        yield f"was changed ({now}; published was {then})"
    elif mode != file.mode:
        yield f"has mode {mode}, and was published with {file.mode}"


def written(moment: datetime) -> str:
    """A moment as our documents write it; raises ValueError for one without a time zone."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment} has no time zone")
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def moment_of(text: str) -> datetime:
    """The moment that `written` wrote."""
    return datetime.fromisoformat(text)
