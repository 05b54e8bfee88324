"""End to end under faults: is every acknowledged observation in the store exactly once, and are the figures true?

python -m bench.probing.faults [--minutes 10] [--agents 3] [--pops 50] [--seed 0] [--pace 1] [--step-clock] [--keep DIR]

Agents measure all PoPs of a lab over ICMP and deliver to one collector, through a meddler that delivers batches twice,
keeps acknowledgements from the agents and sends old batches again. Meanwhile agents and the collector are killed, links
go down, disks are full, and with --step-clock (as root) the machine's clock jumps, for everything that runs on it.
Without root no disk is filled.
At the end the disks are freed and the links up; the spools must empty. What was acknowledged, as the meddler wrote it
down, is held against the Parquet files, and the measured matrix against the lab's links.
"""

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from bench.probing.faults_verdict import verdict
from bench.probing.faults_world import World, disks, fill, free_disks, network, own_mounts, step_clock

PATIENCE_S = 240.0
STEP_S = 90.0
SETTLE_S = 5.0
Fault = tuple[str, Callable[[], object], Callable[[], object], float]  # what, do it, undo it, seconds between


@dataclass
class Faults:
    """What can happen, and when each did, by the monotonic clock."""

    world: World
    seed: int
    step_clock: bool
    pace: float
    happened: list[tuple[str, float, float]] = field(default_factory=list)

    def kinds(self, chance: random.Random) -> list[Fault]:
        """One of each kind, at an agent drawn anew."""
        world = self.world
        name = chance.choice(list(world.agents))
        agent, collector = world.agents[name], world.collector
        agent_disk, store = world.folder / name / "disk", world.folder / "collector" / "disk"
        found: list[Fault] = [
            (f"{name} killed", agent.kill, agent.start, chance.uniform(0.2, 4)),
            ("collector killed", collector.kill, collector.start, chance.uniform(0.2, 6)),
            ("collector killed again", collector.kill, collector.start, chance.uniform(0.2, 2)),
            (f"{name} link down", lambda: world.lab.down(name), lambda: world.lab.up(name), chance.uniform(5, 15)),
            ("collector link down", lambda: world.lab.down("collector"), lambda: world.lab.up("collector"),
             chance.uniform(5, 15)),
        ]  # fmt: skip
        if disks():
            found += [
                (what, partial(fill, path), (path / "ballast").unlink, chance.uniform(8, 15))
                for what, path in ((f"{name} disk full", agent_disk), ("collector disk full", store))
            ]
        if self.step_clock:
            found.append(("clock stepped", lambda: step_clock(STEP_S), lambda: step_clock(-STEP_S), 3.0))
        return found

    def rounds(self) -> Iterator[Fault]:
        """Faults without end: every kind once in each round, in an order drawn anew."""
        chance = random.Random(self.seed)
        while True:
            kinds = self.kinds(chance)
            chance.shuffle(kinds)
            yield from kinds

    def until(self, end: float) -> None:
        """One fault after the other, a while of peace between."""
        chance = random.Random(self.seed + 1)
        for what, do, undo, seconds in self.rounds():
            peace_s, seconds = self.pace * chance.uniform(2, 7), self.pace * seconds  # noqa: PLW2901
            if time.monotonic() + peace_s + seconds > end:
                return
            time.sleep(peace_s)
            began = time.monotonic()
            do()
            print(f"{end - began:6.0f} s left: {what} for {seconds:.1f} s", file=sys.stderr, flush=True)
            time.sleep(seconds)
            undo()
            self.world.restart()
            self.happened.append((what, began, time.monotonic()))


def main(argv: list[str]) -> int:
    """Run, print, 0 where everything held."""
    parser = argparse.ArgumentParser(prog="bench.probing.faults", description=__doc__.split("\n")[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--agents", type=int, default=3)
    parser.add_argument("--pops", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pace", type=float, default=1.0, help="of all durations: 0.3 is more faults in the same time")
    parser.add_argument("--step-clock", action="store_true")
    parser.add_argument("--keep", type=Path, help="an empty folder that stays")
    asked = parser.parse_args(argv)
    own_mounts(argv)
    with ExitStack() as stack:
        folder = asked.keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nearserve-faults-")))
        folder.mkdir(exist_ok=True)
        folder.chmod(0o755)  # agents become another user
        stack.callback(free_disks, folder)
        lab = stack.enter_context(network(asked.agents, asked.pops, asked.seed))
        world = World(lab, folder, asked.seed)
        world.begin()
        faults = Faults(world, asked.seed, asked.step_clock, asked.pace)
        faults.until(time.monotonic() + asked.minutes * 60)
        time.sleep(10.0)
        for program in world.agents.values():  # no new rounds: what waits is delivered by an agent without targets
            program.stop()
        drained = _drained(world)
        codes = world.end()
        held = verdict(world, faults.happened, drained, codes)
    return 0 if held else 1


def _drained(world: World) -> bool:
    """Whether the spools empty once agents run that have nothing to measure."""
    for name, program in world.agents.items():
        config = world.folder / name / "agent.toml"
        config.write_text(config.read_text().replace("interval_s = 2.0", "interval_s = 86400.0"))
        program.start()
    time.sleep(SETTLE_S)
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        world.restart()
        if world.waiting() == 0:
            return True
        time.sleep(1.0)
    return False


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
