"""What the tests of a collector in a process of its own share."""

import time
from collections.abc import Callable
from typing import Any

from bench.probing.collector_process import CollectorProcess


def until(condition: Callable[[], Any], seconds: float = 20.0) -> Any:
    """What it gives once that is true of it; AssertionError when time is up."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)
    return found


def token(collector: CollectorProcess, agent: str) -> str:
    """The secret that was made for an agent."""
    return (collector.folder / f"agents/{agent}.token").read_text().strip()
