"""The stage that publishes, and what a store's refusals mean to a night."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from placement.nightly.config import Nightly
from placement.nightly.faults import Fault, disk_is_full
from placement.nightly.folders import copy_tree, file_sha256, tree_sha256
from placement.nightly.journal import key_of
from placement.nightly.runs import json_bytes
from placement.publish import errors
from placement.publish.config import PublishConfig, read_publish_config
from placement.publish.retention import Retention
from placement.publish.store import Store
from placement.publish.writer import Clock

if TYPE_CHECKING:
    from placement.nightly.night import Night
    from placement.publish.generation import Generation

REASONS: tuple[tuple[type[errors.StoreError], str], ...] = (
    (errors.CannotWriteError, "cannot_write"),
    (errors.LockedError, "locked"),
    (errors.UnansweredError, "server_down"),
    (errors.UnresolvedError, "server_down"),
    (errors.ClockError, "stale"),
    (errors.WithdrawnError, "withdrawn"),
    (errors.StaleError, "overtaken"),
    (errors.TamperedError, "tampered"),
    (errors.SigningError, "bad_configuration"),
    (errors.NotAStoreError, "bad_configuration"),
    (errors.StoreError, "crash"),
)


@dataclass(frozen=True)
class Target:
    """Where a night publishes, and how much of it is kept."""

    store: Store
    retention: Retention


def target_of(config: Nightly) -> Target:
    """The store that the configuration names.

    Raises:
        DocumentError: its own configuration cannot be used.
    """
    said = PublishConfig() if config.publish.config is None else read_publish_config(Path(config.publish.config))
    return Target(said.store(Path(config.publish.folder)), said.retention)


def fault_of(error: Exception) -> Fault | None:
    """What a store's error is to a night; None where it is none of a store."""
    for kind, reason in REASONS:
        if isinstance(error, kind):
            return Fault("disk_full" if disk_is_full(error) else reason, str(error))
    return None


def settle(store: Store, clock: Clock) -> None:
    """Bring in order what a publish left that was broken off, where there is a store at all."""
    if store.root.exists():
        with store.writing(clock):
            pass


def standing(store: Store) -> "Generation | None":
    """What is published, every byte of it as it was published; None before the first.

    Raises:
        Fault: it is not, or the store is not.
    """
    found = store.current()
    if found is not None and (wrong := store.verify((found.number,))):
        raise Fault("tampered", "\n".join([*wrong, "`nearserve publish rollback` leads readers to a sound one"]))
    return found


def withdrawn(store: Store, inputs: str) -> int | None:
    """The generation of these inputs that a rollback took away, where there is one."""
    if not store.root.exists():
        return None
    keys = store.state().withdrawn
    for generation in store.generations():
        if generation.content_key in keys and generation.facts.get("inputs") == inputs:
            return generation.number
    return None


def publish(night: "Night", report: dict[str, Any], lines: list[str]) -> "Generation":
    """A generation of plan, feeds and report; the current one where that says the same.

    Raises:
        Fault: what is published is not what this night began with, or what it would publish is not what it made.
        StoreError: the store refuses.
    """
    results = night.run.results

    def fill(folder: Path) -> None:
        for name in ("plan", "feeds"):
            if name in results:
                copy_tree(results[name].folder / name, folder / name)
        whole = folder / "report"
        whole.mkdir()
        (whole / "report.json").write_bytes(json_bytes(report))
        (whole / "report.txt").write_text("\n".join(lines) + "\n", "utf-8")
        shutil.copyfile(results["diff"].folder / "diff.json", whole / "diff.json")
        _as_made(night, folder)

    with night.store.writing(night.tonight.clock) as writer:
        now, base = writer.current, night.base
        if (now and now.manifest_sha256) != (base and base.manifest_sha256):
            number = None if now is None else now.number
            raise Fault("overtaken", f"{night.store.root}: generation {number} came to be while this night ran")
        published = writer.publish(
            fill,
            _facts(night),
            content_key(night.plan, night.feeds_sha256),
            by="nightly",
            started_at=night.run.began,
        )
        writer.prune(night.target.retention)
    return published


def content_key(plan: Path, feeds: str | None) -> str:
    """What makes two generations the same: all that the plan decides, and how feeds tell it.

    Where the plan came from, and what is proved about it, is left out: new measurements that change nothing publish
    nothing.
    """
    document = json.loads((plan / "plan.json").read_bytes())
    proved = ("provenance", "bound_claimed_usd_month", "bound_verified_usd_month", "gap", "shadow_prices", "moves")
    decided = {name: value for name, value in document.items() if name not in proved}
    return key_of({"plan": decided, "routes": file_sha256(plan / "routes.parquet"), "feeds": feeds})


def _facts(night: "Night") -> dict[str, Any]:
    """What the manifest says of the generation."""
    figures = {name: night.figures[name] for name in ("cost_usd_month", "served_share", "gap")}
    return {
        "scenario": night.scenario.document.name,
        "run": night.run.name,
        "inputs": night.identity,
        "whole": not night.run.results["plan"].facts["cut_short"],
        "previous": None if night.base is None else night.base.number,
        **figures,
    }


def _as_made(night: "Night", folder: Path) -> None:
    """That the copies are what the stages made, so that nothing is published that came between."""
    for name in ("plan", "feeds"):
        result = night.run.results.get(name)
        if result is None:
            continue
        sound = tree_sha256(result.folder) == result.sha256
        if not sound or tree_sha256(result.folder / name) != tree_sha256(folder / name):
            raise Fault("tampered", f"{result.folder} is not what this night made; look who changed it, then run again")
