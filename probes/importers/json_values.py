"""The values of a JSON array, of JSON lines, or of JSON documents one after another, without holding the whole file."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import TextIOBase
from typing import Any, Final

_CHUNK: Final = 1 << 20
_SPACE: Final = re.compile(r"[\s\ufeff\x00\x1e]*")
_START: Final = re.compile(r"[\n,\[]\s*(?=\{)")
_TRIES: Final = 10_000
_END_OF_NUMBER: Final = 32  # a decoder that stops this near to the end of what was read may lack the rest


@dataclass(frozen=True, slots=True)
class Broken:
    """A stretch of the file that is not JSON; `text` is where it begins."""

    text: str
    message: str


def values(stream: TextIOBase, is_record: Callable[[Any], bool]) -> Iterator[tuple[int, Any]]:
    """(row, value) for each value; a `Broken` stands where there is none.

    `row` is the line where the value begins, or its position in an array, from 1. After a broken stretch reading goes
    on at the next `{` that begins something for which `is_record` holds.
    """
    yield from _Reader(stream, is_record).values()


class _Reader:
    def __init__(self, stream: TextIOBase, is_record: Callable[[Any], bool]) -> None:
        self._stream = stream
        self._is_record = is_record
        self._decoder = json.JSONDecoder()
        self._text = ""
        self._at = 0
        self._line = 1
        self._ended = False
        self._chunk = _CHUNK

    def values(self) -> Iterator[tuple[int, Any]]:
        self._skip()
        in_array = self._text.startswith("[", self._at)
        if in_array:
            self._advance(self._at + 1)
        position = 0
        while self._skip(",]" if in_array else ""):
            position += 1
            row = position if in_array else self._line
            try:
                value, end = self._decode()
            except _NotJsonError as error:
                yield row, Broken(self._text[self._at : self._at + 80], str(error))
                self._resume()
                continue
            self._advance(end)
            yield row, value

    def _skip(self, also: str = "") -> bool:
        """Passes over white space and the characters given; False at the end of the file."""
        while True:
            match = _SPACE.match(self._text, self._at)
            self._advance(match.end() if match else self._at)
            if self._at < len(self._text):
                if self._text[self._at] not in also:
                    return True
                self._advance(self._at + 1)
            elif not self._more():
                return False

    def _advance(self, to: int) -> None:
        self._line += self._text.count("\n", self._at, to)
        self._at = to

    def _more(self) -> bool:
        """Reads on, twice as far each time while one value is not complete; False at the end of the file."""
        if self._ended:
            return False
        piece = self._stream.read(self._chunk)
        self._ended = not piece
        self._text = self._text[self._at :] + piece
        self._at = 0
        self._chunk = min(self._chunk * 2, 1 << 28)
        return bool(piece)

    def _decode(self) -> tuple[Any, int]:
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                cut_short = error.pos >= len(self._text) - _END_OF_NUMBER or error.msg.startswith("Unterminated string")
                if cut_short and self._more():
                    continue
                raise _NotJsonError("ends in the middle" if cut_short else error.msg) from None
            except (RecursionError, ValueError):  # nested too deep, or an integer of thousands of digits
                raise _NotJsonError("nested too deep, or a number too long") from None
            if end == len(self._text) and not isinstance(value, dict | list) and self._more():
                continue
            self._chunk = _CHUNK
            return value, end

    def _resume(self) -> None:
        """Goes to the next record, or to the end of the file."""
        self._chunk = _CHUNK
        for _ in range(_TRIES):
            match = _START.search(self._text, self._at + 1)
            if match is None:
                self._advance(len(self._text))
                if not self._more():
                    return
                self._text, self._at = "\n" + self._text, 0
                self._line -= 1
                continue
            self._advance(match.end())
            try:
                value, _ = self._decode()
            except _NotJsonError:
                continue
            if self._is_record(value):
                return
        while True:
            self._advance(len(self._text))
            if not self._more():
                return


class _NotJsonError(Exception):
    """What stands here is not a JSON value."""
