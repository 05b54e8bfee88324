"""What a store must look like, said by a reader of its own: json, hashlib and os alone, nothing of the publisher's."""

import hashlib
import json
import os
import re
import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

NIGHT = datetime(2021, 11, 22, 3, 0, tzinfo=UTC)


def content(label: str) -> dict[str, bytes]:
    """Files by their path; every one of them says which generation it belongs to."""
    return {
        "plan/plan.json": json.dumps({"label": label}).encode(),
        "feeds/envoy/all/eds.json": f"envoy {label}".encode(),
        "feeds/envoy/failures/metro-fra/eds.json": f"without fra {label}".encode(),
        "feeds/csv/all/routes.csv": (f"{label}\n" * 50).encode(),
    }


def filling(label: str) -> Callable[[Path], None]:
    def fill(folder: Path) -> None:
        for path, data in content(label).items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(data)

    return fill


class Clock:
    """A night later at every look."""

    def __init__(self, now: datetime = NIGHT) -> None:
        self.now = now

    def __call__(self) -> datetime:
        self.now += timedelta(days=1)
        return self.now


def label_of(folder: Path) -> str:
    """Which generation's files these are; that they are all of one, whole, and as its manifest says."""
    data = (folder / "manifest.json").read_bytes()
    assert hashlib.sha256(data).hexdigest()[:12] == folder.name.partition("-")[2]
    files: dict[str, Any] = json.loads(data)["files"]
    label = str(json.loads((folder / "plan/plan.json").read_bytes())["label"])
    found = {}
    for path, _, names in os.walk(folder):
        for name in names:
            file = Path(path) / name
            if name not in ("manifest.json", "manifest.json.sig") or Path(path) != folder:
                found[str(file.relative_to(folder))] = file.read_bytes()
                assert stat.S_IMODE(file.lstat().st_mode) == 0o444 and stat.S_ISREG(file.lstat().st_mode)
    assert {path: (hashlib.sha256(each).hexdigest(), len(each)) for path, each in found.items()} == {
        path: (each["sha256"], each["bytes"]) for path, each in files.items()
    }
    del found["provenance.json"]
    assert found == content(label)
    return label


def current_label(root: Path) -> str | None:
    """What a reader finds below `current`; None where nothing was published."""
    if not os.path.lexists(root / "current"):
        return None
    return label_of(Path(os.path.realpath(root / "current")))


def entries(root: Path) -> list[dict[str, Any]]:
    """The ledger, its chain of hashes worked out again."""
    previous, found = "0" * 64, []
    for line in (root / "ledger.jsonl").read_bytes().decode().splitlines():
        entry = json.loads(line)
        said = entry.pop("sha256")
        text = json.dumps(entry, sort_keys=True, ensure_ascii=False, separators=(",", ":")) + "\n"
        assert hashlib.sha256(text.encode()).hexdigest() == said
        assert entry["previous"] == previous and entry["entry"] == len(found) + 1
        previous = said
        found.append(entry)
    return found


def at_rest(root: Path) -> str | None:
    """The store as it must be when no writer is at work: nothing half-done, ledger, folders and link of one mind."""
    standing: dict[int, str] = {}
    current, opened = None, None
    for entry in entries(root):
        if entry["event"] == "intent":
            assert opened is None
            opened = entry
            continue
        if entry["event"] == "pruned":
            assert entry["name"] != current
            del standing[entry["number"]]
            continue
        assert opened is not None and opened["name"] == entry["name"]
        if entry["event"] == "committed":
            current = entry["name"]
            standing[entry["number"]] = current
        opened = None
    assert opened is None
    assert sorted(path.name for path in (root / "generations").iterdir()) == sorted(standing.values())
    assert {path.name for path in root.iterdir()} <= {"current", "generations", "ledger.jsonl", "lock"}
    for name in standing.values():
        assert re.fullmatch(r"\d{6}-[0-9a-f]{12}", name)
        label_of(root / "generations" / name)
    if current is None:
        assert not os.path.lexists(root / "current")
    else:
        assert os.readlink(root / "current") == f"generations/{current}"  # noqa: PTH115
    return current_label(root)
