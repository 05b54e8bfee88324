"""One reference instance: made, planned, verified, and beside it what the peers find."""

import json
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.arrays.instance import save_named
from bench.arrays.planned import ArrayPlan
from bench.peers.registry import TOLERANCE, Peer, run_peer
from bench.tools.process import run_alone
from bench.tools.row import Row

MAKE_S = 1800.0
SLACK_S = 600.0
"""A run may end this much after its limit before it is stopped."""


class RunFailedError(RuntimeError):
    """A process that the benchmark needs has failed."""


@dataclass(frozen=True)
class Made:
    """An instance on disk."""

    scale: str
    seed: int
    folder: Path
    instance: Path
    matrix: Path | None
    pairs: int
    constant_usd: float


def planned_core(
    scale: str, seed: int, gap: float, limit_s: float, folder: Path, *, with_matrix: bool
) -> tuple[Made, Row]:
    """Make the instance, plan it and verify what was found."""
    made = _made(scale, seed, folder, with_matrix=with_matrix)
    solved = folder / "solved.npz"
    command = [sys.executable, "-m", "bench.arrays.solve", str(made.instance), str(solved)]
    ran = run_alone([*command, "--time-limit", f"{limit_s:g}", "--gap", f"{gap:g}"], limit_s=limit_s + SLACK_S)
    empty = Row(
        "core", scale, seed, "nearserve", made.pairs, math.inf, -math.inf, -math.inf, made.constant_usd, ran.seconds,
        ran.peak_gb, "",
    )  # fmt: skip
    if ran.code:
        return made, replace(empty, broken=ran.reason)
    said = json.loads(ran.said.strip().splitlines()[-1])
    verified = _verified(made, solved, ())
    row = replace(
        empty,
        plan_usd=_or(verified["plan_usd"], math.inf),
        bound_usd=_or(verified["bound_usd"], -math.inf),
        claimed_usd=_or(said["bound_claimed_usd"], -math.inf),
        seconds=said["seconds"],
        broken="; ".join(verified["broken"]),
        note=said["message"] or f"verified in {verified['seconds']:.0f} s",
    )
    return made, row


def peer_rows(made: Made, peers: Sequence[Peer], limit_s: float, ours: Row) -> Iterator[Row]:
    """A row for every peer; its gap is that of its plan against our verified bound."""
    for peer in peers:
        run = run_peer(peer, made.instance, made.matrix, made.folder, limit_s)
        empty = replace(
            ours, by=peer.name, plan_usd=math.inf, claimed_usd=_or(run.bound_usd, -math.inf), seconds=run.seconds,
            peak_gb=run.peak_gb, broken="", note=_noted(run.note, run.bound_usd, made.constant_usd),
        )  # fmt: skip
        if run.plan is None:
            yield empty
            continue
        verified = _verified_plan(made, run.plan)
        broken = "; ".join(verified["broken"])
        yield replace(empty, plan_usd=_or(verified["plan_usd"], math.inf), note=broken or empty.note)


def _noted(note: str, bound_usd: float | None, constant_usd: float) -> str:
    return note if bound_usd is None else f"{note}; claims bound {bound_usd - constant_usd:,.1f}"


def _made(scale: str, seed: int, folder: Path, *, with_matrix: bool) -> Made:
    instance, matrix = folder / "instance.npz", folder / "matrix.npz"
    command = [sys.executable, "-m", "bench.arrays.make", scale, str(seed), str(instance)]
    ran = run_alone([*command, *(["--matrix", str(matrix)] if with_matrix else [])], limit_s=MAKE_S)
    if ran.code:
        raise RunFailedError(f"the generator failed: {ran.reason}")
    said = json.loads(ran.said.strip().splitlines()[-1])
    return Made(scale, seed, folder, instance, matrix if with_matrix else None, said["pairs"], said["constant_usd"])


def _verified_plan(made: Made, plan: ArrayPlan) -> dict[str, Any]:
    path = made.folder / "plan.npz"
    save_named(path, plan.arrays())
    return _verified(made, path, ("--tolerance", f"{TOLERANCE:g}"))


def _verified(made: Made, solved: Path, options: tuple[str, ...]) -> dict[str, Any]:
    command = [sys.executable, "-m", "bench.verify_arrays", str(made.instance), str(solved), *options]
    if made.matrix is not None:
        command += ["--matrix", made.scale, str(made.seed)]
    ran = run_alone(command, limit_s=MAKE_S)
    if not ran.said.strip():
        raise RunFailedError(f"the verifier failed: {ran.reason}")
    found: dict[str, Any] = json.loads(ran.said.strip().splitlines()[-1])
    return found


def _or(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else value
