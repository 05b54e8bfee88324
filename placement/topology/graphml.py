"""The topology's nodes and edges as GraphML, written as they come: no graph of them is built in memory.

http://graphml.graphdrawing.org/specification.html
"""

from collections.abc import Iterable
from typing import BinaryIO
from xml.sax.saxutils import escape, quoteattr

import pyarrow as pa
import pyarrow.compute as pc

from placement.topology.elements import EDGE, NODE

_TYPES = {pa.string(): "string", pa.float64(): "double", pa.int64(): "long"}
_HEAD = """<?xml version="1.0" encoding="utf-8"?>
<graphml xmlns="http://graphml.graphdrawing.org/xmlns" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" \
xsi:schemaLocation="http://graphml.graphdrawing.org/xmlns http://graphml.graphdrawing.org/xmlns/1.0/graphml.xsd">
"""
# What XML cannot hold at all: control characters. A name that has one is written with the sign for "unknown".
_NO_XML = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x{FFFE}\x{FFFF}]"


def write(nodes: pa.Table, edges: Iterable[pa.Table], into: BinaryIO) -> None:
    """An undirected graph; what is null has no element."""
    into.write(_HEAD.encode())
    for kind, schema, ends in (("node", NODE, 1), ("edge", EDGE, 2)):
        for field in list(schema)[ends:]:
            named = f'for="{kind}" attr.name={quoteattr(field.name)} attr.type="{_TYPES[field.type]}"'
            into.write(f'<key id="{kind}-{field.name}" {named}/>\n'.encode())
    into.write(b'<graph edgedefault="undirected">\n')
    _write_all(nodes, "node", ("id",), into)
    for part in edges:
        _write_all(part, "edge", ("source", "target"), into)
    into.write(b"</graph>\n</graphml>\n")


def _write_all(table: pa.Table, kind: str, ends: tuple[str, ...], into: BinaryIO) -> None:
    """A line for every row, put together a column at a time."""
    pieces: list[pa.Array | str] = [f"<{kind}"]
    for name in ends:
        pieces += [f' {name}="', _text(table.column(name)), '"']
    pieces.append(">")
    for name in table.column_names[len(ends) :]:
        column = table.column(name)
        if column.null_count < len(column):
            one = [f'<data key="{kind}-{name}">', _text(column), "</data>", ""]
            pieces.append(pc.fill_null(pc.binary_join_element_wise(*one), ""))
    lines = pc.binary_join_element_wise(*pieces, f"</{kind}>\n", "")
    for chunk in lines.chunks:
        into.write("".join(chunk.to_pylist()).encode())


def _text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """As text that XML may hold; names and words are few, so each is escaped once."""
    if column.type != pa.string():
        return pc.cast(column, pa.string())
    coded = pa.chunked_array([column.combine_chunks().dictionary_encode()])
    parts = []
    for chunk in coded.chunks:
        clean = pc.replace_substring_regex(chunk.dictionary, _NO_XML, "\ufffd")
        words = pa.array([escape(word, {'"': "&quot;"}) for word in clean.to_pylist()], pa.string())
        parts.append(pc.take(words, chunk.indices))
    return pa.chunked_array(parts, pa.string())
