"""How much memory a piece of work takes at its peak, beyond what the process held before."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

Result = TypeVar("Result")
PROCESS = Path("/proc/self")


def peak_mb(work: Callable[[], Result]) -> tuple[Result, float]:
    """What the work gives, and its peak of resident memory above that before, MB; NaN where nobody tells."""
    try:
        (PROCESS / "clear_refs").write_text("5")  # Linux: the peak starts again from what is held now
        before = _resident_mb("VmRSS")
    except OSError:
        return work(), float("nan")
    result = work()
    return result, max(_resident_mb("VmHWM") - before, 0.0)


def _resident_mb(field: str) -> float:
    for line in (PROCESS / "status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024 / 1e6
    return float("nan")
