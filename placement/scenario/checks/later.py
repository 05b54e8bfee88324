"""Rules that a scenario states and that `plan` cannot honour yet: named, never dropped."""

from collections.abc import Iterator

from placement.scenario.dictionary import tables
from placement.scenario.draft import Draft
from placement.scenario.findings import Finding, shortened


def check_later_tables(draft: Draft) -> Iterator[Finding]:
    """A table of later work that holds rows."""
    for name, spec in tables().items():
        rows = len(draft.frame(name))
        if spec.status == "later" and rows:
            message = f"plan will refuse: the table {name} ({spec.description}) is not supported yet"
            mend = f"Move {draft.file(name)} out of the folder to plan without it."
            yield Finding("later", draft.file(name), message, mend, None, "", f"{rows} rows", "later")


def check_later_columns(draft: Draft) -> Iterator[Finding]:
    """A column of later work that holds values; a flag that says no asks nothing."""
    for name, spec in tables().items():
        frame = draft.frame(name)
        for column in spec.columns:
            if column.status != "later":
                continue
            values = frame[column.name]
            set_ = values.notna() if column.numeric else (values != "") & (values != "no")
            if not set_.any():
                continue
            line = int(frame.index[set_][0])
            message = f"plan will refuse: {name}.{column.name} ({column.description}) is not supported yet"
            mend = f"Empty the column to plan without it: {int(set_.sum())} rows."
            value = shortened(values[set_].iloc[0])
            yield Finding("later", draft.file(name), message, mend, line, column.name, value, "later")


CHECKS = (check_later_tables, check_later_columns)
