"""What happens to a record that cannot be read: counted and shown, never a crash, never a silent zero."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

OnError = Literal["fail", "warn", "skip"]
_SHOWN = 20


@dataclass(frozen=True, slots=True)
class BadRecord:
    """One place in a file that is not what its format says.

    `row` counts from 1: the line of a text file, or the position of the element in a JSON array or of the row in
    Parquet; 0 stands for the file as a whole. `value` is the offending text, shortened.
    """

    file: str
    row: int
    field: str
    value: str
    message: str
    mend: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.row}" if self.row else self.file
        what = f"{self.field} = {self.value!r}" if self.value else self.field
        return f"{place}: {what}: {self.message} ({self.mend})"


class BadRecordsError(ValueError):
    """A file read with `on_error="fail"` holds bad records, or cannot be read at all; `bad` has all of them."""

    def __init__(self, bad: Sequence[BadRecord]) -> None:
        self.bad = tuple(bad)
        super().__init__(_listing(self.bad))


class BadRecordWarning(UserWarning):
    """Issued once a file by `on_error="warn"`, with the first bad records and their number."""


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What a file gave.

    table: pyarrow Table of `probes.table.SCHEMA`, in the order of the file.
    bad: what could not be used. read: measurements found in the file, the unusable ones too.
    lost: packets sent and not answered, summed over the table. notes: what was assumed for want of better.
    """

    table: Any
    bad: tuple[BadRecord, ...]
    read: int
    lost: int
    notes: tuple[str, ...] = ()


def settle(bad: Sequence[BadRecord], on_error: OnError) -> tuple[BadRecord, ...]:
    """Applies the policy: raises BadRecordsError, issues one BadRecordWarning, or hands the records on in silence."""
    found = tuple(bad)
    if found and on_error == "fail":
        raise BadRecordsError(found)
    if found and on_error == "warn":
        warnings.warn(_listing(found), BadRecordWarning, stacklevel=3)
    return found


def shortened(value: object, limit: int = 80) -> str:
    """The value as one line of at most `limit` printable characters, for an error message."""
    text = value if isinstance(value, str) else repr(value)
    text = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text[: limit + 1])
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _listing(bad: Sequence[BadRecord]) -> str:
    more = len(bad) - _SHOWN
    lines = [f"{len(bad)} bad record{'s' if len(bad) != 1 else ''}", *map(str, bad[:_SHOWN])]
    return "\n".join(lines + ([f"and {more} more"] if more > 0 else []))
