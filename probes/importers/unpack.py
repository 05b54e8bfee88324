"""Compressed files as plain bytes; one that was cut off gives what it has and then says so."""

import bz2
import gzip
import io
import lzma
import zlib
from typing import Any, BinaryIO, Final

_BROKEN: Final = (EOFError, OSError, zlib.error, lzma.LZMAError)


class Unpacked(io.RawIOBase):
    """A seekable stream over a decompressor; `failure` is why its end came early, "" when it did not."""

    def __init__(self, source: Any) -> None:
        super().__init__()
        self._source = source
        self.failure = ""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        # One step of the decompressor at a time: a larger read drops what came before the break.
        try:
            piece = self._source.read1(len(buffer))
        except _BROKEN as error:
            self.failure = str(error) or type(error).__name__
            piece = b""
        buffer[: len(piece)] = piece
        return len(piece)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        try:
            return int(self._source.seek(offset, whence))
        except _BROKEN as error:
            self.failure = str(error) or type(error).__name__
            return self.tell()

    def tell(self) -> int:
        return int(self._source.tell())


def unpacked(raw: BinaryIO) -> Unpacked | None:
    """The content of a gzip, bzip2 or xz stream, known by its first bytes; None for any other, at its beginning."""
    head = raw.read(6)
    raw.seek(0)
    if head.startswith(b"\x1f\x8b"):
        return Unpacked(gzip.GzipFile(fileobj=raw))
    if head.startswith(b"BZh"):
        return Unpacked(bz2.BZ2File(raw))
    if head == b"\xfd7zXZ\x00":
        return Unpacked(lzma.LZMAFile(raw))
    return None
