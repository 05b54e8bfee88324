"""Nothing of a lab stays: no process, no namespace, no device, no descriptor, however it ends."""

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from probes.lab import Host, Lab, LabError, Link, Pop

HOSTS = (Host("a", "10.10.0.1"), Host("b", "10.10.0.2"))
OWNER = """
import signal, sys, time
from probes.lab import Host, Lab
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background would ignore it
end, nap = sys.argv[1:]
with Lab([Host("a", "10.10.0.1"), Host("b", "10.10.0.2")]) as lab:
    lab.run("a", ["sleep", nap])
    lab.run("b", ["setsid", "-f", "sleep", nap]).wait()
    print("ready", flush=True)
    if end == "raise":
        time.sleep(0.2)
        raise RuntimeError("in the middle")
    time.sleep(60)
"""


@pytest.fixture
def nap() -> str:
    """How long the programs of this test sleep: their mark among those of all tests that run."""
    return f"31536000.{random.randrange(10**9):09}"


def processes() -> dict[int, str]:
    found = {}
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdigit() and (command := (entry / "cmdline").read_text().replace("\0", " ")):
                found[int(entry.name)] = command
    return found


def asleep(nap: str) -> set[int]:
    return {pid for pid, line in processes().items() if line.startswith("sleep ") and nap in line}


def emulator_of(parent: int) -> int:
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return next(int(pid) for pid in children if "probes.lab.emulator" in processes().get(int(pid), ""))


def gone(pids: set[int], patience_s: float = 10.0) -> bool:
    until = time.monotonic() + patience_s
    while pids & set(processes()) and time.monotonic() < until:
        time.sleep(0.02)
    return not pids & set(processes())


def names(folder: str) -> list[str]:
    return sorted(entry.name for entry in Path(folder).iterdir())


def test_the_programs_end_with_the_lab(nap: str) -> None:
    devices, descriptors = names("/sys/class/net"), len(names("/proc/self/fd"))
    with Lab(HOSTS, [Pop("p", "10.78.0.1")]) as lab:
        lab.run("a", ["sleep", nap])
        lab.run("b", ["setsid", "-f", "sleep", nap]).wait()
        lab.run("p", ["sh", "-c", f"trap '' TERM; sleep {nap} & wait; sleep {nap}"])
        while len(asleep(nap)) < 3:
            time.sleep(0.01)
        during = asleep(nap) | {emulator_of(os.getpid())}
    assert len(during) == 4
    assert gone(during, 0.5)
    assert names("/sys/class/net") == devices
    assert len(names("/proc/self/fd")) == descriptors


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, "raise"])
def test_everything_ends_with_the_process_that_made_it(nap: str, end: "signal.Signals | str") -> None:
    arguments = [sys.executable, "-c", OWNER, str(end), nap]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as owner:
        assert owner.stdout
        assert owner.stdout.readline() == "ready\n"
        emulator = emulator_of(owner.pid)
        during = asleep(nap) | {emulator}
        if isinstance(end, signal.Signals):
            owner.send_signal(end)
        owner.wait(15)
        assert gone(during)
        assert not asleep(nap)


def test_the_programs_end_too_where_the_emulator_was_killed(nap: str) -> None:
    with Lab(HOSTS) as lab:
        lab.run("b", ["setsid", "-f", "sleep", nap]).wait()
        os.kill(emulator_of(os.getpid()), signal.SIGKILL)
        with pytest.raises(LabError, match="the emulator has ended"):
            lab.set_link("a", "b", Link(rtt_ms=1))
        while not (during := asleep(nap)):
            time.sleep(0.01)
    assert gone(during, 0.5)


def test_a_program_that_is_not_there_ends_as_in_a_shell(capfd: pytest.CaptureFixture[str]) -> None:
    with Lab(HOSTS) as lab:
        assert lab.run("a", ["no-such-program"]).wait() == 127
    assert "no-such-program: No such file or directory" in capfd.readouterr().err


def test_a_program_may_not_reach_the_machines_own_network() -> None:
    code = "import os; print(sorted(os.listdir('/proc/self/net/dev_snmp6')), os.readlink('/proc/self/ns/net'))"
    with Lab(HOSTS) as lab:
        seen, _ = lab.run("a", [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True).communicate()
    assert seen.startswith("['eth0', 'lo']")
    assert str(Path("/proc/self/ns/net").readlink()) not in seen
