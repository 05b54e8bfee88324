"""The text that ping writes, one record a run: iputils, macOS and the BSDs, busybox, inetutils, Windows in English.

The lines are the truth and the statistics the cross-check, with two exceptions that the programs ask for: packets
that were sent are counted from the statistics (a line is written only for some), and a quiet run has nothing else.
Windows counts `Destination host unreachable` as received; here it is lost. Duplicates count once.
A run without `-D` has no time: the person's, or else that of the file, which is noted.
"""

from dataclasses import dataclass, field
from typing import BinaryIO, Final

from probes.importers import ping_lines as lines
from probes.importers.collector import Collector
from probes.importers.options import Options, overridden
from probes.importers.text import family_of, text_of
from probes.record import Record

METHOD: Final = "imported:ping"
_LONGEST_LINE: Final = 4096
_WRAP: Final = 1 << 15  # sequence numbers are 16 bits: a fall of more than half of that is a new round
_ROUND: Final = 1 << 16


def read(stream: BinaryIO, collector: Collector, options: Options) -> None:
    """Reads any number of runs, line by line; memory holds one run."""
    text = text_of(stream)
    run: _Run | None = None
    row = 0
    found = False
    while raw := text.readline(_LONGEST_LINE):
        row += 1
        time, rest = lines.split_time(raw.rstrip("\n"))
        line = lines.parse(rest)
        if isinstance(line, lines.Header) or (isinstance(line, lines.Trouble) and (run is None or run.closed)):
            _finish(run, collector, options)
            run, found = _Run(row, line), True
            collector.read += 1
        elif line is None or (run is None and not isinstance(line, lines.Nothing | lines.ClockMoved)):
            collector.bad(row, "line", rest.strip(), "is no line of a ping run", "remove it, or keep going on errors")
            if run is not None:
                run.strange += 1
        elif run is not None:
            run.take(row, line, collector)
        if run is not None and time is not None and run.time is None:
            run.time = time
    _finish(run, collector, options)
    text.detach()
    if not found:
        collector.bad(0, "file", "", "holds no ping run", "give the whole output of ping in English (LC_ALL=C)")


@dataclass
class _Run:
    """What has been read of one run."""

    row: int
    start: lines.Header | lines.Trouble
    time: int | None = None
    rtt_ms: list[float] = field(default_factory=list)
    answered: set[int] = field(default_factory=set)
    unnumbered: int = 0  # answers without a sequence number (Windows)
    unanswered: int = 0
    highest: int | None = None
    lowest: int | None = None
    duplicates: int = 0
    untimed: int = 0
    strange: int = 0
    totals: lines.Totals | None = None
    spread: lines.Spread | None = None
    clock_moved: bool = False
    troubles: dict[str, None] = field(default_factory=dict)

    @property
    def closed(self) -> bool:
        return self.totals is not None or isinstance(self.start, lines.Trouble)

    def take(self, row: int, line: lines.Line, collector: Collector) -> None:
        if isinstance(line, lines.Reply):
            self._take_reply(row, line, collector)
        elif isinstance(line, lines.Lost):
            self.unanswered += 1
            if line.seq is not None:
                self._number(line.seq)
        elif isinstance(line, lines.Totals):
            self.totals = line
        elif isinstance(line, lines.Spread):
            self.spread = line
        elif isinstance(line, lines.ClockMoved):
            self.clock_moved = True
        elif isinstance(line, lines.Trouble):
            self.troubles[line.text] = None

    def _take_reply(self, row: int, reply: lines.Reply, collector: Collector) -> None:
        seq = None if reply.seq is None else self._number(reply.seq)
        if reply.duplicate or (seq is not None and seq in self.answered):
            self.duplicates += 1
            return
        if seq is None:
            self.unnumbered += 1
        else:
            self.answered.add(seq)
        if reply.rtt_ms is not None:
            self.rtt_ms.append(reply.rtt_ms)
            return
        self.untimed += 1
        if reply.text:
            collector.bad(row, "time", reply.text, "is not above 0 ms", "the answer is counted without a time")

    def _number(self, seq: int) -> int:
        """The packet's number over all rounds of the 16-bit counter."""
        if self.highest is not None:
            whole = self.highest - self.highest % _ROUND + seq
            if self.highest - whole > _WRAP:
                whole += _ROUND
            elif whole - self.highest > _WRAP and whole >= _ROUND:
                whole -= _ROUND
            seq = whole
        self.highest = seq if self.highest is None else max(self.highest, seq)
        self.lowest = seq if self.lowest is None else min(self.lowest, seq)
        return seq


def _finish(run: _Run | None, collector: Collector, options: Options) -> None:
    if run is None:
        return
    record = _failure(run) if isinstance(run.start, lines.Trouble) else _record(run, run.start, collector)
    time = options.observed_at if options.observed_at is not None else run.time
    if time is None:
        time = options.file_time or 0
        collector.note("a run without time stamps (ping -D) has the time at which the file was last written")
    if not record.source and options.source is None:
        collector.note("ping does not write who measured: name the source, or the run belongs to nobody")
    collector.add(run.row, overridden(_at(record, time), options))


def _at(record: Record, time: int) -> Record:
    return overridden(record, Options(observed_at=time))


def _failure(run: _Run) -> Record:
    """A run that never began: the host has no address, or there is no way to it."""
    assert isinstance(run.start, lines.Trouble)
    host = run.start.host
    return Record(
        observed_at=0,
        source="",
        target=host,
        method=METHOD,
        family=family_of(host),
        sent=0,
        received=0,
        error=run.start.text,
    )


def _record(run: _Run, header: lines.Header, collector: Collector) -> Record:
    seen = len(run.answered) + run.unnumbered
    totals = run.totals
    if totals is None:
        collector.bad(run.row, "statistics", "", "the run has no statistics: it was cut off", "its lines are counted")
        sent, received = _sent_by_lines(run, header, seen), seen
    else:
        sent, received = totals.sent, _received(run, totals, seen, collector)
    quiet = not run.rtt_ms and not run.untimed and received > 0
    spread = run.spread if quiet else None
    _compare_times(run, received, collector)
    target = header.address or header.target
    return Record(
        observed_at=0,
        source=header.source,
        target=target,
        target_alias=header.target if header.target != target else None,
        method=METHOD,
        family=family_of(target),
        sent=sent,
        received=received,
        rtt_ms=tuple(run.rtt_ms) or None,
        rtt_min_ms=spread.min_ms if spread else None,
        rtt_avg_ms=spread.avg_ms if spread else None,
        rtt_std_ms=spread.std_ms if spread else None,
        rtt_max_ms=spread.max_ms if spread else None,
        error="; ".join(run.troubles) or None,
        clock_ok=False if run.clock_moved else None,
    )


def _sent_by_lines(run: _Run, header: lines.Header, seen: int) -> int:
    if run.highest is None or run.lowest is None:
        return seen + run.unanswered
    first = run.lowest if header.first_seq is None else min(header.first_seq, run.lowest)
    return run.highest - first + 1


def _received(run: _Run, totals: lines.Totals, seen: int, collector: Collector) -> int:
    """Answers counted by lines where there are lines; the statistics where lines are missing for a reason."""
    if totals.received == seen or (seen == 0 and run.unanswered == 0):
        return totals.received
    if totals.program_counts_errors and seen <= totals.received <= seen + run.unanswered:
        return seen
    if 0 <= totals.received - seen <= run.strange + totals.late:
        return totals.received
    message = f"the statistics say {totals.received} were received, the lines show {seen}"
    collector.bad(run.row, "received", totals.received, message, "the lines are counted; give the whole output")
    return min(seen, totals.sent)


def _compare_times(run: _Run, received: int, collector: Collector) -> None:
    """The least and greatest time of the lines against the statistics, where both saw the same packets."""
    spread, totals = run.spread, run.totals
    if spread is None or totals is None or not run.rtt_ms or run.duplicates or run.clock_moved:
        return
    if len(run.rtt_ms) != (received if totals.program_counts_errors else totals.received):
        return
    for name, shown, said in (("min", min(run.rtt_ms), spread.min_ms), ("max", max(run.rtt_ms), spread.max_ms)):
        # A line's time has three digits: it may be cut by 1 %, and by 1 ms where only whole ones are printed.
        if said is not None and abs(shown - said) > 0.0101 * said + (1.0 if spread.whole_ms else 0.0011):
            message = f"the statistics say {said:g} ms, the lines show {shown:g} ms"
            collector.bad(run.row, name, f"{said:g}", message, "the lines are used; look at the file")
