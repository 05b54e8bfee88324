"""The data dictionary as a page: `python -m placement.scenario.docs > docs/data-dictionary.md`."""

import math

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from placement.scenario.dictionary import Column, Table, tables
from placement.scenario.document import Document


def render_markdown() -> str:
    """The data dictionary as the text of `docs/data-dictionary.md`."""
    return "\n".join([_HEADER, _render_document(), *(_render(table) for table in tables().values())])


_HEADER = """# Data dictionary

Generated from `placement/scenario/dictionary/*.csv`; do not edit by hand:
`python -m placement.scenario.docs > docs/data-dictionary.md`.

Tables are CSV (UTF-8, comma, header in line 1) or Parquet with the same stem. An empty cell is *absent*, never zero.
**Key** columns together name a row. A figure outside of its *range* is an error; one outside of *plausible* is doubted.
A column or table marked *later* is read and checked, and `plan` refuses to run while it holds values.
Every table may carry a column `note` that nobody but people reads.
"""


def _render(table: Table) -> str:
    marks = ["required" if table.required else "optional"]
    if table.catalog:
        marks.append("absent: the bundled catalog")
    if table.status == "later":
        marks.append("later")
    lines = [f"## {table.name}", "", f"{table.description[0].upper()}{table.description[1:]} ({'; '.join(marks)}).", ""]
    lines += ["| column | type | unit | default | range | plausible | description |", "|---|---|---|---|---|---|---|"]
    lines += [_render_column(column) for column in table.columns]
    return "\n".join(lines) + "\n"


def _render_column(column: Column) -> str:
    name = f"**{column.name}**" if column.key else column.name
    if not column.required:
        name = f"[{name}]"
    kind = " or ".join(column.choices) if column.choices else column.kind
    words = column.description
    if column.refers:
        words += f" → {column.refers[0]}"
    if column.status == "later":
        words += " *(later)*"
    cells = (
        name,
        kind,
        column.unit,
        column.default,
        _window(column.least, column.most),
        _window(column.low, column.high),
        words,
    )
    return f"| {' | '.join(cells)} |"


def _render_document() -> str:
    """The keys of scenario.toml as a table."""
    lines = ["## scenario.toml", "", "| key | default | description |", "|---|---|---|"]
    for name, field in Document.model_fields.items():
        part = field.default
        if isinstance(part, BaseModel):
            inner = type(part).model_fields.items()
            lines += [_render_key(f"[{name}] {key}", one) for key, one in inner]
        else:
            lines.append(_render_key(name, field))
    return "\n".join(lines) + "\n"


def _render_key(name: str, field: FieldInfo) -> str:
    given = field.default
    default = (
        "required"
        if field.is_required()
        else ""
        if given is None or given is False or given in ("", ())
        else str(given)
    )
    if isinstance(given, tuple) and given:
        default = ", ".join(given)
    return f"| {name} | {default} | {field.description or ''} |"


def _window(low: float, high: float) -> str:
    if math.isinf(low) and math.isinf(high):
        return ""
    return f"{low:g} … {high:g}"


if __name__ == "__main__":
    print(render_markdown(), end="")
