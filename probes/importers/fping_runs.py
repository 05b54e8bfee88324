"""What fping said of one host, line by line, put together into runs.

A run is packets numbered from 0 (`-c`, `-l`, not quiet) and statistics (`-c`, `-C`), of which a file may hold either or
both: statistics may stand before the packets, since up to 4.2 stdout is written when a buffer is full. Runs that were
appended to one log are told apart by their numbers. A packet without a line is lost (to 4.4; since 5.0 each lost packet
has a line); where the statistics are missing, what was lost after the last line is not known.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, NamedTuple

from probes.importers.fping_lines import Probe, Totals

_CUT: Final = 1024  # packets of each record of a run that goes on and on
_HELD: Final = 4 * _CUT  # answers overtake each other, so the newest packets stay open
_OPEN_RUNS: Final = 8  # of one host: it may be listed several times on one command line
_FIRST_LOST: Final = 10  # a run that has begun anew may have lost so many of its first packets
_JUMP: Final = 100_000  # packets missing at once are missing lines, and no loss


class Run(NamedTuple):
    """Counts and times of a run or a part of one. `complaint` is (field, value, message) where lines contradict."""

    row: int
    time: int | None
    sent: int
    received: int
    rtt_ms: tuple[float, ...] = ()
    totals: Totals | None = None  # its min, mean and max stand where there are no times
    complaint: tuple[str, str, str] | None = None
    tells_all: bool = True  # False where packets lost at the end are not known


@dataclass
class _Packets:
    """Numbered packets of one run: index → ms, 0 for an answer without a usable time, None for a lost one."""

    row: int
    time: int | None
    lowest: int
    fates: dict[int, float | None] = field(default_factory=dict)
    highest: int = 0
    duplicates: int = 0
    cut_sent: int = 0
    cut_received: int = 0

    @property
    def received(self) -> int:
        return sum(fate is not None for fate in self.fates.values())

    def lacks(self, index: int) -> bool:
        return index not in self.fates and (index >= self.lowest or not self.cut_sent)

    def take(self, probe: Probe) -> None:
        self.fates[probe.index] = (probe.rtt_ms or 0.0) if probe.answered else None
        self.highest = max(self.highest, probe.index)
        self.lowest = min(self.lowest, probe.index)

    def rtt_ms(self) -> tuple[float, ...]:
        return tuple(self.fates[index] or 0.0 for index in sorted(self.fates) if self.fates[index])

    def fits(self, totals: Totals) -> bool:
        """Whether these packets are those that the statistics sum up."""
        if self.received + self.cut_received != totals.received:
            return False
        times = self.rtt_ms()
        if self.cut_sent or not times or len(times) != self.received or totals.min_ms is None:
            return True
        return (min(times), max(times)) == (totals.min_ms, totals.max_ms)

    def early(self, time: int | None, row: int) -> Run:
        """The first packets of a run that is still going on."""
        end = self.lowest + _CUT
        first = {index: fate for index, fate in self.fates.items() if index < end}
        run = _Packets(self.row, self.time, self.lowest, first)
        part = Run(self.row, self.time, _CUT, run.received, run.rtt_ms())
        self.fates = {index: fate for index, fate in self.fates.items() if index >= end}
        self.lowest, self.row, self.time = end, row, time
        self.cut_sent += part.sent
        self.cut_received += part.received
        return part


@dataclass
class Host:
    """The state of one host; its methods give the runs that are complete."""

    name: str
    troubles: dict[str, None] = field(default_factory=dict)
    _open: list[_Packets] = field(default_factory=list)
    _waiting: tuple[int, Totals] | None = None  # statistics whose packets may still follow
    _intervals: list[tuple[int, Totals]] = field(default_factory=list)
    _block: int = 0

    def probe(self, row: int, time: int | None, probe: Probe) -> Iterator[Run]:
        """One packet; its run is the newest that lacks its number."""
        packets = next((one for one in reversed(self._open) if one.lacks(probe.index)), None)
        if packets is not None and probe.index - packets.highest > _JUMP:
            message = f"the packets go from {packets.highest} to {probe.index}: lines are missing"
            yield self._closed(packets, ("index", str(probe.index), message))
            packets = None
        elif packets is None and self._open and not _begins(probe):
            self._open[-1].duplicates += 1
            return
        if packets is None:
            from_start = probe.first and probe.index <= _JUMP
            packets = _Packets(row, time, 0 if from_start else probe.index)
            self._open.append(packets)
            if len(self._open) > _OPEN_RUNS:
                yield self._closed(self._open[0])
        packets.take(probe)
        packets.time = time if packets.time is None else packets.time
        if packets.highest - packets.lowest >= _HELD:
            yield packets.early(time, row)

    def totals(self, row: int, totals: Totals, block: int) -> Iterator[Run]:
        """Statistics of a run; in a block of intervals (`block` > 0) the second of one block are those of the whole."""
        if totals.interval or (block and block != self._block):
            self._block = block
            self._intervals.append((row, totals))
            return
        if self._intervals:
            yield from self._of_intervals((row, totals))
            return
        if self._waiting and (found := self._fitting(self._waiting[1])) and not (self._fitting(totals, found)):
            yield self._summed(found, *self._waiting)
            self._waiting = None
        if self._waiting:
            yield _alone(*self._waiting)
            self._waiting = None
        if self._open:
            yield self._summed(self._fitting(totals) or self._open[0], row, totals)
        else:
            self._waiting = (row, totals)

    def end(self) -> Iterator[Run]:
        """What is left when the file ends."""
        if self._intervals:
            yield from self._of_intervals(None)
        if self._waiting:
            found = self._fitting(self._waiting[1])
            yield self._summed(found, *self._waiting) if found else _alone(*self._waiting)
        while self._open:
            yield self._closed(self._open[0])

    def _fitting(self, totals: Totals, but: _Packets | None = None) -> _Packets | None:
        return next((one for one in self._open if one is not but and one.fits(totals)), None)

    def _closed(self, packets: _Packets, complaint: tuple[str, str, str] | None = None) -> Run:
        """Packets without statistics."""
        self._open.remove(packets)
        sent = packets.highest - packets.lowest + 1
        tells_all = None in packets.fates.values()
        times = packets.rtt_ms()
        return Run(packets.row, packets.time, sent, packets.received, times, None, complaint, tells_all)

    def _summed(self, packets: _Packets, row: int, totals: Totals) -> Run:
        """Packets with the statistics of their run: these know what was sent, the lines what was answered."""
        self._open.remove(packets)
        sent, said, seen = totals.sent - packets.cut_sent, totals.received - packets.cut_received, packets.received
        complaint = None
        if sent < seen or said < seen:
            message = f"the statistics say {totals.received} of {totals.sent} were received, the lines show {seen}"
            complaint = ("received", str(totals.received), message + ": they are not of one run")
            sent, said = max(sent, packets.highest - packets.lowest + 1), seen
        elif seen < said <= seen + packets.duplicates:  # in a loop, fping counts an answer that came twice
            said = seen
        elif seen < said and not totals.rtt_ms:
            message = f"the statistics say {totals.received} were received, the lines show {seen}: lines are missing"
            complaint = ("received", str(totals.received), message)
        times = totals.rtt_ms or packets.rtt_ms()
        return Run(packets.row, packets.time, sent, min(said, sent), times, totals, complaint)

    def _of_intervals(self, final: tuple[int, Totals] | None) -> Iterator[Run]:
        """Intervals, and what the statistics of the whole run say beyond them."""
        intervals, self._intervals, self._block = self._intervals, [], 0
        listed = [totals for _, totals in intervals]
        if _cumulative(listed, final[1] if final else None):
            yield _alone(*(final or intervals[-1]))
            return
        for row, totals in intervals:
            if totals.sent:
                yield _alone(row, totals)
        if final is None:
            return
        sent = final[1].sent - sum(one.sent for one in listed)
        received = min(max(final[1].received - sum(one.received for one in listed), 0), max(sent, 0))
        if sent > 0:
            yield Run(final[0], None, sent, received)


def _begins(probe: Probe) -> bool:
    """Whether a packet whose number is taken begins a new run, and is no second answer to the same packet."""
    return probe.index == 0 or (probe.answered and probe.first and probe.index <= _FIRST_LOST)


def _alone(row: int, totals: Totals) -> Run:
    """Statistics without packets; answers of an earlier interval, or that came twice, are above what was sent."""
    return Run(row, totals.time, totals.sent, min(totals.received, totals.sent), totals.rtt_ms, totals)


def _cumulative(listed: list[Totals], final: Totals | None) -> bool:
    """Whether each interval holds the ones before it (-Q SECONDS,cumulative), which the output does not say."""
    pairs = list(pairwise(listed))
    if not pairs or not all(_holds(later, earlier) for earlier, later in pairs):
        return False
    if final is None:
        return listed[1].sent >= 1.5 * listed[0].sent
    return sum(one.sent for one in listed) > final.sent >= listed[-1].sent


def _holds(later: Totals, earlier: Totals) -> bool:
    if later.sent <= earlier.sent or later.received < earlier.received:
        return False
    if earlier.min_ms is None or earlier.max_ms is None:
        return True
    return (
        later.min_ms is not None
        and later.max_ms is not None
        and (later.min_ms <= earlier.min_ms and later.max_ms >= earlier.max_ms)
    )
