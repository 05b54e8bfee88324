"""The agent's loop with methods and clocks that a test moves: sleep, steps, hangs, failures, overlap."""

import json
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from probes.agent import rounds
from probes.agent.loop import Agent
from probes.agent.measuring import Means, Measure
from probes.agent.metrics import Metrics
from probes.agent.sources import Sources
from probes.agent.spool import Spool
from probes.agent.worker import TooManyHungError
from probes.methods.endpoint import Endpoint
from probes.record import Record
from probes.wire.clock import Reading

CONFIG = """
agent = "fra1-a"
source = "fra1"
spool = { path = "spool.sqlite" }
allow = { networks = ["127.0.0.0/8"], ports = [9, 8444, 8862] }
targets = { file = "targets.jsonl" }
[rates]
packets_per_s = 1000
target_packets_per_s = 1000
target_burst = 1000
target_mbyte_per_hour = 10
bandwidth_mbyte_per_hour = 1000
"""


class Flags:
    """What `Signals` offers, set by the test and not by the system."""

    def __init__(self) -> None:
        self.stop = self.reload = False
        self.fd, self._write = _pipe()

    def clear(self) -> None:
        """Nothing is written to it."""


def _pipe() -> tuple[int, int]:
    import os  # noqa: PLC0415

    return os.pipe()


class Clocks:
    """Readings that follow the real clocks, with an offset that a test may add to each of them."""

    def __init__(self) -> None:
        self.realtime_ns = self.boottime_ns = 0

    def __call__(self) -> Reading:
        now = Reading.now()
        return Reading(now.realtime_ns + self.realtime_ns, now.monotonic_ns, now.boottime_ns + self.boottime_ns)


def record(method: str, endpoint: Endpoint, **more: Any) -> Record:
    return Record(observed_at=time.time_ns(), source="fra1", target=endpoint.name, method=method, clock_ok=True, **more)


class World:
    """An agent on files in a folder; its methods are the test's."""

    def __init__(self, folder: Path, methods: dict[str, Measure], more: str, targets: Sequence[dict[str, Any]]) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.clocks, self.flags = Clocks(), Flags()
        (folder / "agent.toml").write_text(CONFIG + more)
        (folder / "targets.jsonl").write_text("".join(json.dumps(target) + "\n" for target in targets))
        self.spool = Spool(folder / "spool.sqlite", 1 << 22, "fra1-a", "boot")
        self.metrics = Metrics(self.spool.counts)
        self.agent = Agent(
            Sources(folder / "agent.toml"), self.spool, self.metrics, self.tell, self.resolve, methods, self.clocks
        )

    def tell(self, event: str, **facts: Any) -> None:
        self.events.append((event, facts))

    def resolve(self, host: str, _family: int | None) -> list[str]:
        raise OSError(-2, "Name or service not known")

    def told(self, event: str) -> list[dict[str, Any]]:
        return [facts for name, facts in self.events if name == event]

    def figure(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(f"nearserve_agent_{name}", labels) or 0.0

    def records(self) -> list[Record]:
        return self.spool.pending(10_000)

    def run_until(self, condition: Any, seconds: float = 20.0) -> None:
        """Runs the loop here until the condition holds, then stops it."""

        def watch() -> None:
            until = time.monotonic() + seconds
            try:
                while not self.flags.stop and not condition() and time.monotonic() < until:
                    time.sleep(0.01)
            finally:
                self.flags.stop = True

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            self.agent.run(self.flags)  # type: ignore[arg-type]
        finally:
            self.flags.stop = True
            watcher.join()
        assert condition()


def loopback(count: int, *methods: str) -> list[dict[str, Any]]:
    return [{"name": f"t{n}", "host": f"127.0.0.{n + 1}", "methods": list(methods)} for n in range(count)]


def answering(method: str) -> Measure:
    def measure(endpoints: Sequence[Endpoint], _settings: Any, _means: Means) -> list[Record]:
        return [record(method, endpoint, sent=3, received=2, rtt_ms=(1.0, 2.0)) for endpoint in endpoints]

    return measure


ICMP = "[methods.icmp]\ninterval_s = 0.2\n"


def test_a_round_over_which_the_machine_slept_is_thrown_away_and_counted(tmp_path: Path) -> None:
    def sleeping(endpoints: Sequence[Endpoint], settings: Any, given: Means) -> list[Record]:
        if not world.told("round_discarded"):
            world.clocks.boottime_ns += 30_000_000_000
            world.clocks.realtime_ns += 30_000_000_000
        return answering("icmp")(endpoints, settings, given)

    world = World(tmp_path, {"icmp": sleeping}, ICMP, loopback(4, "icmp"))
    world.run_until(lambda: world.figure("rounds_total", method="icmp", outcome="measured") >= 3)
    discarded = world.told("round_discarded")
    assert discarded == [{"method": "icmp", "why": "the machine slept", "targets": 4}]
    assert world.figure("suspensions_total") == 1 and world.told("machine_slept")[0]["seconds"] >= 29.9
    assert world.figure("rounds_total", method="icmp", outcome="slept") == 1
    assert all(found.clock_ok for found in world.records())


def test_a_clock_that_steps_under_a_method_marks_its_records_and_is_counted_once(tmp_path: Path) -> None:
    calls = []

    def stepping(endpoints: Sequence[Endpoint], settings: Any, given: Means) -> list[Record]:
        calls.append(1)
        if len(calls) == 2:
            world.clocks.realtime_ns -= 3_600_000_000_000
        return answering("icmp")(endpoints, settings, given)

    world = World(tmp_path, {"icmp": stepping}, ICMP, loopback(2, "icmp"))
    world.run_until(lambda: len(calls) >= 4)
    assert [found.clock_ok for found in world.records()][:8] == [True, True, False, False, True, True, True, True]
    assert world.figure("clock_steps_total") == 1
    assert world.told("clock_stepped")[0]["seconds"] == pytest.approx(-3600, abs=1)


def test_before_1990_nothing_is_measured_until_the_clock_is_set(tmp_path: Path) -> None:
    world = World(tmp_path, {"icmp": answering("icmp")}, ICMP, loopback(2, "icmp"))
    world.clocks.realtime_ns = -time.time_ns()

    waiting: list[int] = []

    def unset_twice() -> bool:
        if not waiting and world.figure("rounds_total", method="icmp", outcome="clock_unset") >= 2:
            waiting.append(world.spool.counts().depth)
            world.clocks.realtime_ns = 0
        return world.figure("rounds_total", method="icmp", outcome="measured") >= 1

    world.run_until(unset_twice)
    assert waiting == [0]
    assert len(world.told("clock_unset")) == 1
    assert world.records()


def test_a_method_that_raises_leaves_records_with_the_error_and_the_others_go_on(tmp_path: Path) -> None:
    def broken(endpoints: Sequence[Endpoint], _settings: Any, _means: Means) -> list[Record]:
        raise OSError(24, "Too many open files")

    more = ICMP + "[methods.tcp]\ninterval_s = 0.2\n"
    world = World(tmp_path, {"icmp": broken, "tcp": answering("tcp")}, more, loopback(3, "icmp", "tcp:9"))
    world.run_until(
        lambda: (
            world.figure("method_failures_total", method="icmp") >= 2
            and world.figure("rounds_total", method="tcp", outcome="measured") >= 2
        )
    )
    failed = [found for found in world.records() if found.method == "icmp"]
    assert len(failed) >= 6 and all(found.sent is None and found.rtt_ms is None for found in failed)
    assert failed[0].error == "agent: OSError: [Errno 24] Too many open files"
    assert {found.target for found in failed} == {"t0", "t1", "t2"}
    assert world.figure("losses_total", method="tcp") * 3 == world.figure("probes_total", method="tcp") > 0


def test_a_method_that_never_returns_is_given_up_and_after_a_few_the_process_must_begin_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = threading.Event()

    def hanging(endpoints: Sequence[Endpoint], _settings: Any, _means: Means) -> list[Record]:
        release.wait(60)
        return []

    monkeypatch.setattr(rounds, "GRACE_S", 0.1)
    more = "[methods.icmp]\ninterval_s = 0.2\ntimeout_s = 0.01\n"
    world = World(tmp_path, {"icmp": hanging}, more, loopback(2, "icmp"))
    with pytest.raises(TooManyHungError, match="icmp did not return within"):
        world.run_until(lambda: False, seconds=30)
    release.set()
    assert world.figure("method_failures_total", method="icmp") == 3
    assert {found.error for found in world.records()} == {"agent: did not return within 0.166 s"}


def test_names_that_do_not_resolve_give_records_with_the_error(tmp_path: Path) -> None:
    targets = [{"name": "lost", "host": "lost.test", "methods": ["icmp"]}, *loopback(1, "icmp")]
    world = World(tmp_path, {"icmp": answering("icmp")}, ICMP, targets)
    world.run_until(lambda: world.figure("rounds_total", method="icmp", outcome="measured") >= 3)
    lost = [found for found in world.records() if found.target == "lost"]
    assert lost and lost[-1].error == "dns: Name or service not known"
    assert all(found.sent is None and found.received is None for found in lost)
    assert world.figure("dns_failures_total") >= 1


def test_no_sweep_ever_runs_beside_a_bandwidth_test_and_sweeps_come_between_its_targets(tmp_path: Path) -> None:
    under_way: list[str] = []
    order: list[str] = []

    def alone(method: str, seconds: float) -> Measure:
        def measure(endpoints: Sequence[Endpoint], settings: Any, given: Means) -> list[Record]:
            under_way.append(method)
            time.sleep(seconds)
            assert under_way == [method]
            under_way.remove(method)
            order.append(method)
            return answering(method)(endpoints, settings, given)

        return measure

    more = ICMP + "[methods.train]\ninterval_s = 60\n"
    methods = {"icmp": alone("icmp", 0.01), "train": alone("train", 0.15)}
    world = World(tmp_path, methods, more, loopback(12, "icmp", "train"))
    world.agent._schedule = _at_once(world.agent._schedule, "train")  # its phase may be a minute away
    world.run_until(lambda: world.figure("rounds_total", method="train", outcome="measured") >= 1)
    assert world.figure("method_failures_total", method="train") == 0
    between = "".join("t" if method == "train" else "i" for method in order)
    assert between.count("t") == 12 and "tttttttt" not in between


def _at_once(schedule: Any, method: str) -> Any:
    schedule._phase_s[method] = 0.0
    return schedule


def test_a_bandwidth_test_gets_no_more_bytes_than_the_limits_leave(tmp_path: Path) -> None:
    most: list[int] = []

    def greedy(endpoints: Sequence[Endpoint], _settings: Any, given: Means) -> list[Record]:
        most.append(given.max_bytes)
        return [record("ndt7", endpoints[0], mbps=1.0, direction="down", bytes=7_000_000)]

    more = "[methods.ndt7]\ninterval_s = 60\n"
    world = World(tmp_path, {"ndt7": greedy}, more, loopback(1, "ndt7"))
    for _ in range(3):
        world.agent.run_once(world.flags)  # type: ignore[arg-type]
    assert most == [10_000_000]  # 10 MB an hour; after 7 of them less than half is left
    assert world.figure("limited_total", method="ndt7") == 2


def test_a_reload_gives_no_bytes_anew(tmp_path: Path) -> None:
    def greedy(endpoints: Sequence[Endpoint], _settings: Any, _means: Means) -> list[Record]:
        return [record("ndt7", endpoints[0], mbps=1.0, direction="down", bytes=7_000_000)]

    world = World(tmp_path, {"ndt7": greedy}, "[methods.ndt7]\ninterval_s = 60\n", loopback(1, "ndt7"))
    world.agent.run_once(world.flags)  # type: ignore[arg-type]
    text = (tmp_path / "agent.toml").read_text()
    (tmp_path / "agent.toml").write_text(text.replace("interval_s = 60", "interval_s = 61"))
    world.agent._reload(forced=True)
    world.agent.run_once(world.flags)  # type: ignore[arg-type]
    assert world.told("reloaded") and world.figure("limited_total", method="ndt7") == 1
    (tmp_path / "agent.toml").write_text(text.replace("target_mbyte_per_hour = 10\n", "target_mbyte_per_hour = 30\n"))
    world.agent._reload(forced=True)
    world.agent.run_once(world.flags)  # type: ignore[arg-type]
    assert [found.bytes for found in world.records()] == [7_000_000, 7_000_000]


def test_a_reload_with_a_bad_key_changes_nothing_and_the_mended_one_all(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("0123456789abcdef\n")
    more = ICMP + "[methods.stamp]\ninterval_s = 60\nkey_file = 'key'\n"
    world = World(tmp_path, {"icmp": answering("icmp"), "stamp": answering("stamp")}, more, loopback(2, "icmp"))
    text = (tmp_path / "agent.toml").read_text()
    (tmp_path / "agent.toml").write_text(text.replace("127.0.0.0/8", "127.0.0.1/32"))
    key.write_text("short\n")
    world.agent._reload(forced=True)
    assert "a key of 5 octets" in world.told("reload_failed")[0]["faults"][0]
    world.agent.run_once(world.flags)  # type: ignore[arg-type]
    assert {found.target for found in world.records()} == {"t0", "t1"}
    key.write_text("0123456789abcdef\n")
    world.agent._reload(forced=True)
    world.agent.run_once(world.flags)  # type: ignore[arg-type]
    assert [found.target for found in world.records()].count("t1") == 1
    assert world.told("target_refused")[0]["target"] == "t1"


def test_a_round_that_takes_longer_than_its_interval_misses_the_next_and_is_not_made_up(tmp_path: Path) -> None:
    def slow(endpoints: Sequence[Endpoint], settings: Any, given: Means) -> list[Record]:
        time.sleep(0.5)
        return answering("icmp")(endpoints, settings, given)

    world = World(tmp_path, {"icmp": slow}, ICMP, loopback(2, "icmp"))
    began = time.monotonic()
    world.run_until(lambda: world.figure("rounds_total", method="icmp", outcome="measured") >= 3)
    took = time.monotonic() - began
    missed = world.figure("rounds_total", method="icmp", outcome="missed")
    measured = world.figure("rounds_total", method="icmp", outcome="measured")
    assert missed >= 2 and measured + missed <= took / 0.2 + 2


def test_every_second_round_is_enough_for_a_target_that_says_so(tmp_path: Path) -> None:
    targets = [{**target, "every": 2} for target in loopback(20, "icmp")] + [
        {"name": "each", "host": "127.0.0.99", "methods": ["icmp"]}
    ]
    world = World(tmp_path, {"icmp": answering("icmp")}, ICMP, targets)
    world.run_until(lambda: world.figure("rounds_total", method="icmp", outcome="measured") >= 6)
    names = [found.target for found in world.records()]
    rounds_seen = names.count("each")
    for n in range(20):
        assert abs(names.count(f"t{n}") - rounds_seen / 2) <= 1


@pytest.fixture(autouse=True)
def _no_thread_raises() -> Iterator[None]:
    raised: list[Any] = []
    before, threading.excepthook = threading.excepthook, raised.append
    yield
    threading.excepthook = before
    assert not raised
