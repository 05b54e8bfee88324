"""fping -N: the statistics of each interval as charts for Netdata, put together again."""

import re
from dataclasses import dataclass, field
from typing import Final

from probes.importers.fping_lines import Totals
from probes.importers.text import number, whole

_CHART: Final = re.compile(
    r"CHART fping\.(?P<name>\S+)_(?P<kind>packets|quality|latency) '.*?' '.*?' \S+ '(?P<host>[^']*)'.*"
)
_BEGIN: Final = re.compile(r"BEGIN fping\.(?P<name>\S+)_(?P<kind>packets|quality|latency)(?: \d+)?")
_DIMENSION: Final = re.compile(r"DIMENSION (?P<name>\w+) \S+ absolute (?P<times>\d+) (?P<by>\d+)")
_SET: Final = re.compile(r"SET (?P<name>\w+) = (?P<value>-?\d+)")


@dataclass
class Charts:
    """The charts of a file; a host's latency chart is the last of an interval, and ends it.

    What unit the times have is told by the chart's own dimensions: 10 µs to version 4, nanoseconds since 5.
    """

    _hosts: dict[str, str] = field(default_factory=dict)
    _scale: float | None = None  # milliseconds in 1
    _name: str = ""
    _kind: str = ""
    _values: dict[str, int] = field(default_factory=dict)

    def take(self, line: str) -> Totals | bool:
        """Statistics that are complete with this line; else whether the line is one of a chart."""
        text = line.strip()
        if match := _CHART.fullmatch(text):
            self._hosts[match["name"]] = match["host"]
            self._kind = match["kind"]
        elif match := _DIMENSION.fullmatch(text):
            by = number(match["by"])
            if self._kind == "latency" and by:
                self._scale = float(match["times"]) / by
        elif match := _BEGIN.fullmatch(text):
            if match["name"] != self._name:
                self._values = {}
            self._name, self._kind = match["name"], match["kind"]
        elif match := _SET.fullmatch(text):
            self._values[match["name"]] = whole(match["value"]) or 0
        elif text == "END" and self._name:
            return self._ended() if self._kind == "latency" else True
        else:
            return False
        return True

    def _ended(self) -> Totals | bool:
        values, self._values = self._values, {}
        sent, received = values.get("xmt"), values.get("rcv")
        if sent is None or received is None or sent < 0 or received < 0:
            return False
        least, mean, most = (self._milliseconds(values.get(name)) for name in ("min", "avg", "max"))
        return Totals(self._hosts.get(self._name, self._name), sent, received, least, mean, most)

    def _milliseconds(self, value: int | None) -> float | None:
        return value * self._scale if value and value > 0 and self._scale else None
