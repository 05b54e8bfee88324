"""What a reflector did, counted where all of its processes and its metrics can see it."""

import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from probes.whole_file import write_whole

STAMP_DROPS: Final = (
    "short",
    "oversized",
    "not_unicast",
    "loop",
    "forged",
    "limited",
    "unsendable",
    "failed",
)
"""Why a STAMP packet went unanswered: less than the base packet; longer than is answered; not sent to an address of
this host; from a port that a server would have, so that two reflectors could answer each other for ever; without a
right HMAC; beyond the rate; refused by the kernel on the way out; an error in this program."""
TRAIN_REFUSALS: Final = ("malformed", "unauthorised", "over_budget", "unproven", "busy")

NAMES: Final = (
    "stamp_received_packets",
    "stamp_received_bytes",
    "stamp_sent_packets",
    "stamp_sent_bytes",
    *(f"stamp_dropped_{reason}" for reason in STAMP_DROPS),
    "stamp_sources",
    "train_sessions",
    "train_received_packets",
    "train_received_bytes",
    "train_sent_packets",
    "train_sent_bytes",
    "train_stray_packets",
    "train_failed",
    *(f"train_refused_{reason}" for reason in TRAIN_REFUSALS),
    "ndt7_down",
    "ndt7_up",
    "ndt7_bytes_down",
    "ndt7_bytes_up",
    "ndt7_refused",
    "ndt7_broken",
    "restarts",
    *(f"{name}_{service}" for name in ("key_reloads", "key_reload_failures") for service in ("stamp", "train")),
)
GAUGES: Final = frozenset({"stamp_sources"})
_PREFIX: Final = "nearserve_reflector_"


class Counts:
    """Numbers in memory that is shared with every process forked afterwards; each number has one writer."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 8 * len(NAMES))
        self._values = np.frombuffer(self._memory, np.int64)
        self._place = {name: n for n, name in enumerate(NAMES)}

    def add(self, name: str, much: int = 1) -> None:
        """Count; KeyError for a name that is not of `NAMES`."""
        self._values[self._place[name]] += much

    def set(self, name: str, value: int) -> None:
        """Put a gauge to a value."""
        self._values[self._place[name]] = value

    def __getitem__(self, name: str) -> int:
        return int(self._values[self._place[name]])

    def read(self) -> dict[str, int]:
        """All numbers at this moment."""
        return dict(zip(NAMES, self._values.tolist(), strict=True))


def registry(counts: Counts) -> CollectorRegistry:
    """The counts for prometheus-client, read anew at every scrape."""
    found = CollectorRegistry()
    found.register(_Collector(counts))
    return found


class _Collector:
    """What prometheus-client asks of a collector."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts

    def collect(self) -> Iterator[Any]:
        families: dict[str, Any] = {}
        for name, value in self._counts.read().items():
            family, label, reason = _split(name)
            if family not in families:
                kind = GaugeMetricFamily if name in GAUGES else CounterMetricFamily
                families[family] = kind(_PREFIX + family, family.replace("_", " "), labels=[label] if label else [])
            families[family].add_metric([reason] if label else [], value)
        yield from families.values()


_LABELS: Final = {
    "stamp_dropped": ("stamp_dropped_packets", "reason"),
    "train_refused": ("train_refused", "reason"),
    "key_reloads": ("key_reloads", "service"),
    "key_reload_failures": ("key_reload_failures", "service"),
}


def _split(name: str) -> tuple[str, str, str]:
    """Metric, label and the label's value; the last two "" where there is none."""
    for start, (family, label) in _LABELS.items():
        if name.startswith(start + "_"):
            return family, label, name[len(start) + 1 :]
    return name, "", ""


def write_textfile(counts: Counts, path: Path) -> None:
    """The counts in Prometheus text format, for node_exporter's textfile collector; replaced as one."""
    write_whole(path, generate_latest(registry(counts)))
