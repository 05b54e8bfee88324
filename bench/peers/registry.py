"""Which peers there are, how each is run, and how one that is absent is installed."""

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.arrays.instance import EdgeArrays, load_arrays, save_named
from bench.arrays.nearest import nearest_site
from bench.arrays.planned import ArrayPlan, split_column
from bench.tools.process import ROOT, run_alone

FOLDER = ROOT / "build" / "peers"
TOLERANCE = 1e-6
"""What a mixed-integer solver takes for feasible; its plan is held to that."""


@dataclass(frozen=True)
class Peer:
    """A peer of the environment `environment` (None: this one), run as `script` with arguments after the files."""

    name: str
    script: str
    options: tuple[str, ...] = ()
    environment: str | None = None
    packages: tuple[str, ...] = ()
    python: str = "python3"
    takes_matrix: bool = True

    @property
    def interpreter(self) -> Path:
        if self.environment is None:
            return Path(sys.executable)
        told = os.environ.get(f"BENCH_PYTHON_{self.environment.upper()}")
        return Path(told) if told else FOLDER / self.environment / "bin" / "python"

    @property
    def install(self) -> str:
        """What a person types to have it."""
        place = FOLDER.relative_to(ROOT) / (self.environment or "")
        return f"{self.python} -m venv {place} && {place}/bin/pip install {' '.join(self.packages)}"


PEERS = (
    Peer("nearest site", "nearest", takes_matrix=False),
    Peer("greedy", "greedy", takes_matrix=False),
    Peer("OR-Tools HiGHS", "-m bench.peers.ortools_mip", ("--backend", "highs", "--time-limit")),
    Peer("OR-Tools SCIP", "-m bench.peers.ortools_mip", ("--backend", "scip", "--time-limit")),
    Peer("highspy", "bench/peers/highspy_mip.py", (), "highspy", ("highspy", "numpy")),
    Peer("PuLP CBC", "bench/peers/pulp_cbc.py", (), "pulp", ("pulp", "numpy")),
    Peer("rebalancer", "bench/peers/rebalancer_local.py", (), "rebalancer", ("rebalancer", "numpy"), "python3.12",
         takes_matrix=False),
)  # fmt: skip


@dataclass(frozen=True)
class PeerRun:
    """How a peer ended: a plan to verify, or in words why there is none. `bound_usd` is its own word."""

    plan: ArrayPlan | None
    bound_usd: float | None
    seconds: float
    peak_gb: float
    note: str


def run_peer(peer: Peer, instance: Path, matrix: Path | None, scratch: Path, time_limit_s: float) -> PeerRun:
    """Run one peer on one instance; a peer that is absent is said to be, with the command that installs it."""
    if not peer.interpreter.exists():
        return PeerRun(None, None, 0.0, 0.0, f"absent: {peer.install}")
    if peer.takes_matrix and matrix is None:
        return PeerRun(None, None, 0.0, 0.0, "the whole model does not fit")
    out = scratch / "peer.npz"
    out.unlink(missing_ok=True)
    if peer.script in ("nearest", "greedy"):
        return _heuristic(peer, instance, out)
    source = matrix if peer.takes_matrix and matrix is not None else instance
    command = [str(peer.interpreter), *peer.script.split(), str(source), str(out), *peer.options, f"{time_limit_s:g}"]
    ran = run_alone(command, limit_s=1.5 * time_limit_s + 120)
    if ran.code:
        return PeerRun(None, None, ran.seconds, ran.peak_gb, f"failed: {ran.reason}")
    said = json.loads(ran.said.strip().splitlines()[-1])
    plan = _plan(load_arrays(instance), out)
    note = said["status"] if plan is not None else f"no plan ({said['status']})"
    return PeerRun(plan, said["bound_usd"], said["seconds"], ran.peak_gb, note)


def _heuristic(peer: Peer, instance: Path, out: Path) -> PeerRun:
    module = "bench.arrays.solve" if peer.script == "greedy" else "bench.peers.registry"
    extra = ["--greedy"] if peer.script == "greedy" else []
    ran = run_alone([sys.executable, "-m", module, str(instance), str(out), *extra], limit_s=600)
    if ran.code:
        return PeerRun(None, None, ran.seconds, ran.peak_gb, f"failed: {ran.reason}")
    said: dict[str, Any] = json.loads(ran.said.strip().splitlines()[-1])
    with np.load(out) as file:
        plan = ArrayPlan(*(file[f"plan_{name}"] for name in ArrayPlan.__dataclass_fields__))
    return PeerRun(plan, None, said["seconds"], ran.peak_gb, "heuristic")


def _plan(arrays: EdgeArrays, path: Path) -> ArrayPlan | None:
    """What a peer wrote: columns, whole numbers rounded, or the site of every class, completed as for the nearest."""
    if not path.is_file():
        return None
    with np.load(path) as file:
        if "site" in file.files:
            return nearest_site(arrays, file["site"])
        plan = split_column(file["column"], arrays.sites, arrays.blocks, arrays.pairs)
    return ArrayPlan(np.rint(plan.open), np.rint(plan.servers), np.rint(plan.replicas), plan.share, plan.unserved)


def main(argv: list[str]) -> int:
    """The nearest-site heuristic as a process of its own: INSTANCE.npz OUT.npz."""
    import time  # noqa: PLC0415

    arrays = load_arrays(Path(argv[0]))
    began = time.perf_counter()
    plan = nearest_site(arrays)
    seconds = time.perf_counter() - began
    save_named(Path(argv[1]), plan.arrays())
    print(json.dumps({"seconds": seconds}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
