"""A command in a process of its own: how it ended, how long it took and how much memory it held at most."""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parents[2]
# A process counts what its parent held when it was forked among its own peak, so that a small one starts the command.
SMALL_PARENT = """\
import os, signal, sys
child = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(child, 0)
os.write(int(sys.argv[1]), str(usage.ru_maxrss).encode())
code = os.waitstatus_to_exitcode(status)
if code >= 0:
    sys.exit(code)
if -code != signal.SIGKILL:
    signal.signal(-code, signal.SIG_DFL)
os.kill(os.getpid(), -code)
"""


@dataclass(frozen=True)
class Ran:
    """`peak_gb` is the largest resident set of the process or of one it waited for; NaN where it was stopped."""

    code: int  # negative: the signal that ended it
    seconds: float
    peak_gb: float
    said: str  # stdout
    complained: str  # the end of stderr
    stopped: bool  # by `limit_s`

    @property
    def reason(self) -> str:
        """Why it failed, in one line."""
        if self.stopped:
            return f"stopped after {self.seconds:.0f} s"
        lines = self.complained.strip().splitlines()
        return lines[-1] if lines else f"exit code {self.code}"


def run_alone(
    command: Sequence[str], *, limit_s: float | None = None, environment: Mapping[str, str] | None = None
) -> Ran:
    """Run `command` from the root of the checkout; after `limit_s` it and what it started are killed."""
    began = time.perf_counter()
    stopped = threading.Event()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, tempfile.TemporaryFile() as peak:
        child = subprocess.Popen(
            [sys.executable, "-IS", "-c", SMALL_PARENT, str(peak.fileno()), *command], stdout=out, stderr=err, cwd=ROOT,
            env={**os.environ, **(environment or {})}, start_new_session=True, pass_fds=[peak.fileno()],
        )  # fmt: skip

        def stop() -> None:
            stopped.set()
            os.killpg(child.pid, signal.SIGKILL)

        timer = threading.Timer(limit_s, stop) if limit_s is not None else None
        if timer is not None:
            timer.start()
        try:
            code = child.wait()
        except BaseException:
            os.killpg(child.pid, signal.SIGKILL)
            raise
        finally:
            if timer is not None:
                timer.cancel()
        seconds = time.perf_counter() - began
        peak_gb = float(_text(peak) or "nan") / 1e6
        return Ran(code, seconds, peak_gb, _text(out), _text(err)[-4000:], stopped.is_set())


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode("utf-8", "replace")
