"""What fping writes, one record a host and run: -c, -C, -l, -Q, -N, is alive, -J; versions 2.4 to 5.5.

Either stream may be in the file, or both; answers count once. A lost packet has no time, and a host that never answered
counts what was sent to it. `is alive` and `is unreachable` do not say how many packets it took: they count as one.
A host without an address is a record of its error. Without -D there is no time: the person's, or that of the file.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Final, TextIO

from probes.importers import fping_lines as lines
from probes.importers.collector import Collector
from probes.importers.fping_netdata import Charts
from probes.importers.fping_runs import Host, Run
from probes.importers.options import Options, overridden
from probes.importers.text import family_of, text_of
from probes.record import Record

METHOD: Final = "imported:fping"
_LONGEST_LINE: Final = 1 << 24  # -C 1000000 writes a million times on one line
_LONGEST_OBJECT: Final = 1 << 15
_MEND: Final = "remove it, or keep going on errors"


def read(stream: BinaryIO, collector: Collector, options: Options) -> None:
    """Reads line by line; memory holds the runs that are not complete."""
    text = text_of(stream)
    reader = _Reader(collector, options)
    for row, line in _lines(text):
        reader.take(row, line)
    reader.end()
    text.detach()


def _lines(text: TextIO) -> Iterator[tuple[int, Any]]:
    """(row, a line of text or an object of JSON), where an object may go over several lines (jq)."""
    row = 0
    while line := text.readline(_LONGEST_LINE):
        row += 1
        start = line.strip().strip("[],")
        if not start.startswith("{"):
            if start or line.strip() not in ("[", "]"):
                yield row, line
            continue
        first, piece, rows = row, start, [line]
        value = _object(piece)
        while value is None and len(piece) < _LONGEST_OBJECT and (line := text.readline(_LONGEST_LINE)):
            row += 1
            rows.append(line)
            if line.lstrip().startswith('{"'):
                break
            piece += "\n" + line
            if line.rstrip().rstrip("],").endswith("}"):
                value = _object(piece.strip().rstrip("],"))
        if value is not None:
            yield first, value
        else:  # the first line is damaged; the others may not be
            yield from _broken(first, rows)


def _broken(first: int, rows: list[str]) -> Iterator[tuple[int, Any]]:
    for offset, line in enumerate(rows):
        value = _object(line.strip().strip("[],"))
        yield first + offset, line if value is None else value


def _object(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


@dataclass
class _Reader:
    """The hosts of a file, in the order in which it names them."""

    collector: Collector
    options: Options
    hosts: dict[str, Host] = field(default_factory=dict)
    told: set[str] = field(default_factory=set)  # hosts that a record was made of
    charts: Charts = field(default_factory=Charts)
    block: int = 0
    found: bool = False

    def take(self, row: int, what: Any) -> None:
        time, line = lines.parse(what) if isinstance(what, str) else lines.parse_json(what)
        if line is None and isinstance(what, str) and (totals := self.charts.take(what)):
            if isinstance(totals, lines.Totals):
                self.found = True
                host = self.hosts.setdefault(totals.host, Host(totals.host))
                received = min(totals.received, totals.sent)
                self._add(host, [Run(row, None, totals.sent, received, (), totals)])
        elif line is None:
            self.collector.bad(row, "line", _shown(what), "is no line of fping", _mend(what))
        elif isinstance(line, lines.Interval):
            self.block += 1
        elif not isinstance(line, lines.Nothing):
            self.found = True
            self._take(row, time, line)

    def _take(self, row: int, time: int | None, line: lines.Probe | lines.Totals | lines.Alive | lines.Trouble) -> None:
        host = self.hosts.get(line.host)
        if isinstance(line, lines.Trouble) and host is None:
            host = self.hosts.get(line.host.partition(" (")[0])  # to 3.x: `sent to NAME (ADDRESS)`
        if host is None:
            host = self.hosts[line.host] = Host(line.host)
        if isinstance(line, lines.Probe):
            if line.text:
                self.collector.bad(row, "time", line.text, "is not above 0 ms", "the answer is counted without a time")
            self._add(host, host.probe(row, time, line))
        elif isinstance(line, lines.Totals):
            for odd in line.odd:
                self.collector.bad(row, "time", odd, "is not above 0 ms", "the answer is counted without a time")
            self._add(host, host.totals(row, line, self.block))
        elif isinstance(line, lines.Alive):
            self._add(host, [self._alive(row, time, line)])
        elif line.unknown:
            host.troubles[line.text] = None
            self._add(host, [Run(row, time, 0, 0)])
        else:
            host.troubles[line.text] = None

    def _alive(self, row: int, time: int | None, line: lines.Alive) -> Run:
        if line.text:
            self.collector.bad(row, "time", line.text, "is not above 0 ms", "the answer is counted without a time")
        self.collector.note("`is alive` and `is unreachable` do not say how many packets were sent: one is counted")
        return Run(row, time, 1, int(line.alive), (line.rtt_ms,) if line.rtt_ms is not None else ())

    def end(self) -> None:
        for host in self.hosts.values():
            self._add(host, host.end())
            if host.troubles and host.name not in self.told:
                self._record(host, Run(0, None, 1, 0))  # at least one packet was refused
        if not self.found:
            self.collector.bad(0, "file", "", "holds no result of fping", "give its whole output, stdout and stderr")

    def _add(self, host: Host, runs: Iterable[Run]) -> None:
        for run in runs:
            if run.complaint:
                self.collector.bad(run.row, *run.complaint, "give the whole output")
            if run.totals is not None and run.totals.received > run.totals.sent:
                self.collector.note("more answers than packets: what came twice, or late, is not counted")
            if not run.tells_all:
                self.collector.note("without fping's statistics (stderr) packets lost at the end of a run are unknown")
            self._record(host, run)

    def _record(self, host: Host, run: Run) -> None:
        self.collector.read += 1
        self.told.add(host.name)
        name, _, address = host.name.partition(" (")
        target = address.rstrip(")") or name
        quiet = run.totals if run.totals and not run.rtt_ms and run.received else None
        time = run.time if run.time is not None else self.options.file_time or 0
        if run.time is None and self.options.observed_at is None:
            self.collector.note("lines without time stamps (fping -D) have the time at which the file was last written")
        if self.options.source is None:
            self.collector.note("fping does not write who measured: name the source, or the run belongs to nobody")
        record = Record(
            observed_at=time,
            source="",
            target=target,
            target_alias=name if name != target else None,
            method=METHOD,
            family=family_of(target),
            sent=run.sent,
            received=run.received,
            rtt_ms=run.rtt_ms or None,
            rtt_min_ms=quiet.min_ms if quiet else None,
            rtt_avg_ms=quiet.avg_ms if quiet else None,
            rtt_max_ms=quiet.max_ms if quiet else None,
            error="; ".join(host.troubles) or None,
        )
        host.troubles.clear()
        self.collector.add(run.row, overridden(record, self.options))


def _shown(what: Any) -> str:
    return what.strip() if isinstance(what, str) else json.dumps(what)


def _mend(what: Any) -> str:
    bare = isinstance(what, str) and len(what.split()) == 1
    return "names alone (-a, -u) do not say alive or not: measure without -a and -u" if bare else _MEND
