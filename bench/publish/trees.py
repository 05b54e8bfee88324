"""What a reader of a store finds, by its own means: json, hashlib and os, nothing of the publisher's."""

import hashlib
import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Tree = dict[str, str]
"""sha256 of every file by its path, but for what holds times: manifest, signature and provenance."""

OURS = ("manifest.json", "manifest.json.sig", "provenance.json")


def tree_of(folder: Path) -> Tree:
    """Reads and hashes every file below."""
    found = {}
    for path, _, names in os.walk(folder):
        for name in names:
            file = Path(path) / name
            found[str(file.relative_to(folder))] = hashlib.sha256(file.read_bytes()).hexdigest()
    return found


@dataclass
class Seen:
    """What a reader has seen: how often which of the trees, how often none, and everything that was wrong."""

    looks: int = 0
    empty: int = 0
    trees: dict[str, int] = field(default_factory=dict)
    generations: set[str] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)


def look(root: Path, known: dict[str, Tree], seen: Seen) -> None:
    """Follows `current` once, and reads below where it leads: it must be one of the known trees, and as its manifest

    says; nothing may be missing, changed, of another generation or too much.
    """
    seen.looks += 1
    if not os.path.lexists(root / "current"):
        seen.empty += 1
        return
    folder = Path(os.path.realpath(root / "current"))
    try:
        found = tree_of(folder)
        manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_bytes())
    except (OSError, ValueError) as error:
        seen.wrong.append(f"{folder.name}: {error}")
        return
    files = {path: digest for path, digest in found.items() if path not in OURS[:2]}
    if files != {path: each["sha256"] for path, each in manifest["files"].items()}:
        seen.wrong.append(f"{folder.name}: not as its manifest says")
    if not folder.name.endswith(found["manifest.json"][:12]):
        seen.wrong.append(f"{folder.name}: another manifest")
    plain = {path: digest for path, digest in files.items() if path not in OURS}
    names = [name for name, tree in known.items() if tree == plain]
    if len(names) != 1:
        seen.wrong.append(f"{folder.name}: mixed")
        return
    seen.generations.add(folder.name)
    seen.trees[names[0]] = seen.trees.get(names[0], 0) + 1


def poll(root: Path, known: dict[str, Tree], stop: Path, told: Path, pause_s: float) -> None:
    """Looks until `stop` appears, and tells what it has seen."""
    seen = Seen()
    while not stop.exists():
        look(root, known, seen)
        time.sleep(pause_s)
    told.write_text(json.dumps({**vars(seen), "generations": sorted(seen.generations)}))


def at_rest(root: Path, known: dict[str, Tree]) -> list[str]:
    """What is wrong with a store that nobody is writing: ledger, link and folders must be of one mind."""
    wrong, previous = [], "0" * 64
    standing: dict[str, str] = {}
    current, opened = None, None
    for number, line in enumerate((root / "ledger.jsonl").read_bytes().splitlines(), 1):
        entry = json.loads(line)
        said = entry.pop("sha256")
        text = json.dumps(entry, sort_keys=True, ensure_ascii=False, separators=(",", ":")) + "\n"
        if hashlib.sha256(text.encode()).hexdigest() != said or entry["previous"] != previous:
            wrong.append(f"ledger: line {number} breaks the chain")
        previous = said
        if entry["event"] == "intent":
            if opened:
                wrong.append(f"ledger: line {number}: two writers")
            opened = entry["name"]
        elif entry["event"] == "pruned":
            standing.pop(entry["name"])
        else:
            if opened != entry["name"]:
                wrong.append(f"ledger: line {number}: the end of another switch")
            opened = None
            if entry["event"] == "committed":
                current = standing[entry["name"]] = entry["name"]
    there = sorted(path.name for path in (root / "generations").iterdir())
    if there != sorted(standing) or opened:
        wrong.append(f"folders: {there}, ledger: {sorted(standing)}, open: {opened}")
    if current and os.readlink(root / "current") != f"generations/{current}":  # noqa: PTH115
        wrong.append("the link leads elsewhere than the ledger says")
    seen = Seen()
    look(root, known, seen)
    return wrong + seen.wrong
