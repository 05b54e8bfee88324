"""1,000 kills of `nearserve publish` at random moments, while readers poll and other writers try.

python -m bench.publish.kills [--kills 1000] [--seed 7] [--readers 2] [--busy 0] [--folder DIR]

Two small plans are published in turn, with their feeds: `nearserve publish plan`, whole, with its audit, in a process
that is forked off one which has imported everything and has read the scenarios, so that the time goes to what is
published and not to what is read. Each is
ended by SIGKILL: half of them at a moment drawn uniformly from the time that an undisturbed one takes, half of them
within 40 ms after a generation is made, while it is switched to. In every fourth trial a second writer starts at the
same time. Every twentieth trial nobody is killed: that run must recover alone, and the store is looked
at in every detail after it. Readers follow `current` and hash every file that they find, all the time. `--busy N` keeps
N processes computing meanwhile. Exit code 1 where anything was wrong.
"""

import argparse
import json
import multiprocessing
import os
import random
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.publish.trees import OURS, Tree, at_rest, poll, tree_of

FORK = multiprocessing.get_context("fork")
SEEDS = (1, 2)
PAUSE_S = 0.02
LONGER = 1.0
"""Kills are drawn from so many times what a run took lately; some come too late."""
CLOSE = 0.5
CLOSING_S = 0.04
"""So many kills come within so many seconds after the manifest is there: while the switch is made."""
GRACE_MINUTES = 0.1
"""Much more than a look of a reader takes; old generations go all the time."""
REFUSED = 6


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--readers", type=int, default=2)
    parser.add_argument("--busy", type=int, default=0)
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    folder = asked.folder or Path(tempfile.mkdtemp(prefix="nearserve-kills-"))
    folder.mkdir(parents=True, exist_ok=True)
    for seed in SEEDS:
        _in_a_child(lambda seed=seed: _plan(folder, seed))  # type: ignore[misc]
    (folder / "feeds.toml").write_text('targets = ["csv", "json"]\n')
    (folder / "publish.toml").write_text(f"[keep]\nnewest = 5\ngrace_minutes = {GRACE_MINUTES}\n")
    _read_before(folder)
    known = _known(folder)
    return _Kills(folder, known, asked).run()


class _Kills:
    """One run of the benchmark."""

    def __init__(self, folder: Path, known: dict[str, Tree], asked: argparse.Namespace) -> None:
        self.folder, self.known, self.asked = folder, known, asked
        self.root, self.stop = folder / "store", folder / "stop"
        self.random = random.Random(asked.seed)
        self.counts: Counter[str] = Counter()
        self.wrong: list[str] = []

    def run(self) -> int:
        """Kills, prints what was found; 0 where nothing was wrong."""
        readers = [
            self._beside(poll, self.root, self.known, self.stop, self._told(j), PAUSE_S)
            for j in range(self.asked.readers)
        ]
        busy = [self._beside(_compute, self.stop) for _ in range(self.asked.busy)]
        began = time.monotonic()
        self.turn = 0
        whole_s = [self._alone() for _ in range(3)]
        trial = 0
        while self.counts["killed"] < self.asked.kills:
            trial += 1
            if trial % 20 == 0:
                whole_s = [*whole_s[-9:], self._alone()]
            else:
                self._killed(statistics.median(whole_s), second=trial % 4 == 0)
            if trial % 100 == 0:
                print(f"{self.counts['killed']} kills, {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
        self._alone()
        self.stop.touch()
        for process in (*readers, *busy):
            process.join(60)
        found = self._found(whole_s, time.monotonic() - began)
        print(json.dumps(found, indent=2, sort_keys=True))
        return 1 if self.wrong else 0

    def _alone(self) -> float:
        """A run that nobody disturbs: it recovers whatever was left, and publishes; its seconds."""
        began = time.monotonic()
        self.turn += 1
        code = _code(self._publish())
        seconds = time.monotonic() - began
        self.counts["undisturbed"] += 1
        if code != 0:
            self.wrong.append(f"an undisturbed run ended with {code}")
        self.wrong += at_rest(self.root, self.known)
        return seconds

    def _killed(self, whole_s: float, *, second: bool) -> None:
        """A run that is killed, and another one at the same time."""
        self.turn += 1
        victims = [self._publish()]
        if second:
            self.turn += 1
            victims.append(self._publish())
        if self.random.random() < CLOSE:
            self._until_manifest(victims[0])
            time.sleep(self.random.uniform(0, CLOSING_S))
        else:
            time.sleep(self.random.uniform(0, LONGER * whole_s))
        for victim in victims:
            os.kill(victim, signal.SIGKILL)
        codes = [_code(victim) for victim in victims]
        for code in codes:
            if code == -signal.SIGKILL:
                self.counts["killed"] += 1
            elif code == REFUSED:
                self.counts["refused, as another was writing"] += 1
            elif code == 0:
                self.counts["ended before the kill came"] += 1
            else:
                self.wrong.append(f"a run ended with {code}")
        self._left()

    def _until_manifest(self, victim: int) -> None:
        """Waits until a generation is nearly made, or its maker has ended."""
        while not any((self.root / "generations").glob(".new-*/manifest.json")):
            if os.waitid(os.P_PID, victim, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
                return
            time.sleep(0.001)

    def _left(self) -> None:
        """What the kill left on the disk, before anybody mends it."""
        if not (self.root / "ledger.jsonl").exists():
            return
        lines = (self.root / "ledger.jsonl").read_bytes().splitlines()
        last = json.loads(lines[-1]) if lines else {}
        made = any((self.root / "generations").glob(".new-*"))
        listed = {json.loads(line)["name"] for line in lines}
        named = any(path.name not in listed for path in (self.root / "generations").glob("0*"))
        if last.get("event") == "intent":
            led = os.path.realpath(self.root / "current").endswith(last["name"])
            self.counts["left: switched, not committed" if led else "left: intent, not switched"] += 1
        elif named:
            self.counts["left: a generation that the ledger does not know"] += 1
        elif made:
            self.counts["left: a generation half-made"] += 1
        else:
            self.counts["left: nothing"] += 1

    def _publish(self) -> int:
        """The command in a process of its own; which plan, by turn."""
        seed = SEEDS[self.turn % len(SEEDS)]
        return _forked(lambda: _command(self.folder, seed, self.root))

    def _beside(self, work: Callable[..., None], *arguments: Any) -> Any:
        process = FORK.Process(target=work, args=arguments, daemon=True)
        process.start()
        return process

    def _told(self, number: int) -> Path:
        return self.folder / f"reader-{number}.json"

    def _found(self, whole_s: list[float], seconds: float) -> dict[str, Any]:
        read = [json.loads(self._told(j).read_text()) for j in range(self.asked.readers)]
        self.wrong += [line for each in read for line in each["wrong"]]
        entries = [json.loads(line) for line in (self.root / "ledger.jsonl").read_bytes().splitlines()]
        return {
            **self.counts,
            "looks of readers": sum(each["looks"] for each in read),
            "looks before the first generation": sum(each["empty"] for each in read),
            "generations that readers saw": len({name for each in read for name in each["generations"]}),
            "switches committed": sum(entry["event"] == "committed" for entry in entries),
            "switches abandoned": sum(entry["event"] == "abandoned" for entry in entries),
            "wrong": self.wrong,
            "longest undisturbed run lately, s": round(max(whole_s), 2),
            "seconds": round(seconds),
            "load": os.getloadavg()[0],
        }


def _command(folder: Path, seed: int, root: Path) -> int:
    """`nearserve publish plan ...`; its exit code."""
    from placement.cli import main as nearserve  # noqa: PLC0415

    arguments = ["publish", "plan", str(folder / f"plan-{seed}"), "--scenario", str(folder / f"scenario-{seed}")]
    arguments += [
        "--feeds",
        str(folder / "feeds.toml"),
        "--store",
        str(root),
        "--settings",
        str(folder / "publish.toml"),
    ]
    try:
        nearserve(arguments, standalone_mode=True)
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def _known(folder: Path) -> dict[str, Tree]:
    """The files of either plan, published into a store of its own."""
    known = {}
    for seed in SEEDS:
        root = folder / f"alone-{seed}"
        if _code(_forked(lambda seed=seed, root=root: _command(folder, seed, root))):  # type: ignore[misc]
            raise SystemExit("the plan could not be published even alone")
        tree = tree_of(Path(os.path.realpath(root / "current")))
        known[str(seed)] = {path: digest for path, digest in tree.items() if path not in OURS}
    return known


def _plan(folder: Path, seed: int) -> int:
    from placement.planning import plan_scenario  # noqa: PLC0415
    from placement.scenario import load  # noqa: PLC0415
    from placement.solving import Request  # noqa: PLC0415
    from placement.worlds.edge import generate  # noqa: PLC0415

    generate(folder / f"scenario-{seed}", sites=6, regions=5, models=1, seed=seed)
    plan_scenario(load(folder / f"scenario-{seed}"), folder / f"plan-{seed}", Request("auto", 0.01, None, 5))
    return 0


def _read_before(folder: Path) -> None:
    """Imports, and reads the scenarios, once, before anything is forked: the command finds them read."""
    import placement.cli.publish_plan as command  # noqa: PLC0415
    import placement.feeds.tables  # noqa: PLC0415
    import placement.publish.config  # noqa: F401, PLC0415
    from placement import topology  # noqa: PLC0415
    from placement.audit import audit  # noqa: F401, PLC0415
    from placement.feeds import failover, rendering  # noqa: F401, PLC0415
    from placement.scenario import load  # noqa: PLC0415

    scenarios = {str(folder / f"scenario-{seed}"): load(folder / f"scenario-{seed}") for seed in SEEDS}
    pairs = {id(scenario): topology.build_pairs(scenario) for scenario in scenarios.values()}
    setattr(command, "load_scenario", scenarios.__getitem__)  # noqa: B010
    for module in (topology, failover):
        setattr(module, "build_pairs", lambda scenario, *_: pairs[id(scenario)])  # noqa: B010


def _compute(stop: Path) -> None:
    while not stop.exists():
        sum(range(100_000))


def _forked(work: Callable[[], int]) -> int:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            nowhere = os.open(os.devnull, os.O_RDWR)
            os.dup2(nowhere, 1)
            os.dup2(nowhere, 2)
            code = work()
        finally:
            os._exit(code)
    return child


def _in_a_child(work: Callable[[], int]) -> None:
    if _code(_forked(work)):
        raise SystemExit("the plans to publish could not be made")


def _code(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    sys.exit(main())
