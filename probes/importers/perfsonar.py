"""perfSONAR: points of an esmond archive and results of pScheduler, told apart object by object."""

from typing import Any, BinaryIO, Final

from probes.importers.collector import Collector
from probes.importers.esmond import Points
from probes.importers.json_values import Broken, values
from probes.importers.options import Options
from probes.importers.pscheduler import Results, is_result
from probes.importers.text import text_of

_MEND: Final = "leave it out, or fetch it again"


def read(stream: BinaryIO, collector: Collector, options: Options) -> None:
    """Reads objects one after another: an array, lines, or one document; memory holds the records and one object."""
    text = text_of(stream)
    points, results = Points(collector, options), Results(collector, options)
    found = False
    for row, value in values(text, _is_object):
        for one in value if isinstance(value, list) else [value]:
            found = True
            if isinstance(one, Broken):
                collector.read += 1
                collector.bad(row, "result", one.text, f"is not JSON: {one.message}", _MEND)
            elif _is_point(one):
                points.take(row, one)
            elif is_result(one):
                results.take(row, one)
            elif isinstance(one, dict) and "event-types" in one:
                collector.note("metadata of esmond holds no figures: fetch the data of its `base-uri`")
            else:
                collector.read += 1
                collector.bad(row, "result", one, "is neither a point of esmond nor a result of pScheduler", _MEND)
    points.end()
    results.end()
    text.detach()
    if not found:
        collector.bad(0, "file", "", "holds no result", "give what esmond or pScheduler answers, as JSON")


def _is_point(value: Any) -> bool:
    return isinstance(value, dict) and ("ts" in value or "timestamp" in value) and not is_result(value)


def _is_object(value: Any) -> bool:
    return _is_point(value) or is_result(value)
