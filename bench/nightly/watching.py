"""A reader that polls what is published and believes nothing: json, hashlib and os, nothing of the publisher's."""

import hashlib
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

PAUSE_S = 0.01


class MixedError(AssertionError):
    """What a reader found is no whole generation."""


def look(root: Path) -> tuple[int, dict[str, Any]] | None:
    """(number, facts) of the generation that `current` leads to, every byte of it hashed; None before the first."""
    try:
        name = os.readlink(root / "current")  # noqa: PTH115  the text, once
    except FileNotFoundError:
        return None
    folder = root / name
    data = (folder / "manifest.json").read_bytes()
    if hashlib.sha256(data).hexdigest()[:12] != folder.name.partition("-")[2]:
        raise MixedError(f"{name}: the manifest is of another generation")
    manifest = json.loads(data)
    found = {
        str((Path(path) / file).relative_to(folder)) for path, _, files in os.walk(folder) for file in files
    } - {"manifest.json", "manifest.json.sig"}  # fmt: skip
    if found != set(manifest["files"]):
        raise MixedError(f"{name}: {sorted(found ^ set(manifest['files']))} too many or missing")
    for path, said in manifest["files"].items():
        content = (folder / path).read_bytes()
        if len(content) != said["bytes"] or hashlib.sha256(content).hexdigest() != said["sha256"]:
            raise MixedError(f"{name}/{path}: half-written")
    plan = hashlib.sha256((folder / "plan" / "plan.json").read_bytes()).hexdigest()
    report = json.loads((folder / "report" / "report.json").read_bytes())
    diff = json.loads((folder / "report" / "diff.json").read_bytes())
    if report["run"] != manifest["facts"]["run"] or diff["new"]["plan_sha256"] != plan:
        raise MixedError(f"{name}: plan, report and diff are of different nights")
    return manifest["number"], manifest["facts"]


def makers(root: Path) -> int:
    """How many generations are being made right now."""
    try:
        return sum(name.startswith(".new-") for name in os.listdir(root / "generations"))  # noqa: PTH208
    except FileNotFoundError:
        return 0


def watch(root: Path, told: Path) -> None:
    """Look again and again until SIGTERM; then say in the file `told` how often, and everything that was wrong."""
    stopped: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: stopped.append(number))
    looks, numbers, wrong, last, most = 0, set(), [], 0, 0
    while not stopped:
        time.sleep(PAUSE_S)
        most = max(most, makers(root))
        try:
            seen = look(root)
        except (MixedError, OSError, ValueError, KeyError) as error:
            wrong.append(f"{type(error).__name__}: {error}")
            continue
        looks += 1
        number = 0 if seen is None else seen[0]
        if number < last:
            wrong.append(f"went back from {last} to {number}")
        last = number
        numbers.add(number)
    found = {"looks": looks, "seen": len(numbers), "wrong": wrong[:20], "wrongs": len(wrong), "makers": most}
    told.write_text(json.dumps(found))
