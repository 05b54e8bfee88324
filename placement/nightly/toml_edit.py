"""One key of a TOML text set or left out, a line at a time, so that everything else stays as its owner wrote it.

Good for documents with a key a line and tables as [table]; whoever uses it parses the outcome and compares.
"""

import re


def with_value(text: str, table: tuple[str, ...], key: str, value: str) -> str:
    """The text with `key = value` in the table, which is added where there is none; the value as TOML writes it."""
    lines = without(text, table, key).splitlines()
    at = _first_line(lines, table)
    if at is None:
        lines += ["", f"[{'.'.join(table)}]"]
        at = len(lines)
    lines.insert(at, f"{key} = {value}")
    return "\n".join(lines) + "\n"


def without(text: str, table: tuple[str, ...], key: str) -> str:
    """The text without the key's line in the table."""
    kept, here = [], ()
    dotted = re.compile(rf"\s*{re.escape('.'.join((*table, key)))}\s*=")
    plain = re.compile(rf"\s*[\"']?{re.escape(key)}[\"']?\s*=")
    for line in text.splitlines():
        header = re.match(r"\s*\[\s*([\w.-]+)\s*\]", line)
        if header:
            here = tuple(header.group(1).split("."))
        elif (here == table and plain.match(line)) or (not here and dotted.match(line)):
            continue
        kept.append(line)
    return "\n".join(kept) + "\n"


def _first_line(lines: list[str], table: tuple[str, ...]) -> int | None:
    """Where the table's first line goes; None where there is no such table."""
    if not table:
        return 0
    for number, line in enumerate(lines):
        if re.match(rf"\s*\[\s*{re.escape('.'.join(table))}\s*\]", line):
            return number + 1
    return None
