"""Reads values out of JSON without trusting it: what is not of the kind it should be is a violation of the format."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeGuard, cast

from placement.audit.exact import exact
from placement.audit.plan_rows import BILLION
from placement.audit.report import Findings

MOST = 10**15  # no count and no sum of money in a plan comes near; beyond it floats stop telling cents apart

Row = tuple[str, dict[str, Any]]
"""Where a row stands, and what it says: exactly the keys that it should have."""


@dataclass(frozen=True)
class Reader:
    """A document, and where to tell what is wrong with it. What cannot be read is None, or empty."""

    document: dict[str, Any]
    findings: Findings

    def ok(self, holds: bool, subject: str, detail: str) -> bool:
        """Count one fact of the format. Returns `holds`."""
        return self.findings.check("format", holds, subject, detail)

    def keys(self, where: str, value: Mapping[str, object], names: set[str]) -> bool:
        """Whether a value has exactly these keys."""
        missing, strange = sorted(names - set(value)), sorted(set(value) - names)
        return self.ok(not missing and not strange, where, f"missing {missing}, unknown {strange}")

    def part(self, name: str, names: set[str] | None) -> dict[str, Any]:
        """An object of the document; empty when it is not one or its keys are others."""
        return self.within(self.document.get(name), name, names)

    def within(self, value: object, where: str, names: set[str] | None) -> dict[str, Any]:
        """A value as an object with these keys (None: any)."""
        if not self.ok(isinstance(value, dict), where, "is not an object"):
            return {}
        found = cast("dict[str, Any]", value)
        return found if names is None or self.keys(where, found, names) else {}

    def maybe_part(self, name: str, names: set[str]) -> dict[str, Any] | None:
        """An object of the document that may be null; None then."""
        return None if self.document.get(name) is None else self.part(name, names)

    def listed(self, value: object, where: str) -> list[Any]:
        """A value as a list."""
        return cast("list[Any]", value) if self.ok(isinstance(value, list), where, "is not a list") else []

    def rows(self, name: str, names: set[str]) -> list[Row]:
        """The good rows of a list of the document."""
        return self.rows_of(self.document.get(name), name, names)

    def rows_of(self, value: object, name: str, names: set[str]) -> list[Row]:
        """The good rows of a list: objects with these keys."""
        good = []
        for j, row in enumerate(self.listed(value, name)):
            where = f"{name}[{j}]"
            if self.ok(isinstance(row, dict), where, "is not an object") and self.keys(where, row, names):
                good.append((where, row))
        return good

    def text(self, value: object, where: str) -> str:
        """A name; "" when it is none."""
        good = self.ok(isinstance(value, str) and value != "", where, f"{_short(value)} is no name")
        return cast("str", value) if good else ""

    def maybe_text(self, value: object, where: str) -> str | None:
        """A name, or "" for null; None when it is neither."""
        return "" if value is None else self.text(value, where) or None

    def count(self, value: object, where: str, most: int = BILLION) -> int | None:
        """A whole number from 0 on."""
        good = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most
        self.ok(good, where, f"{_short(value)} is no whole number from 0 to {most}")
        return cast("int", value) if good else None

    def number(self, value: object, where: str) -> Fraction | None:
        """A figure: the decimal that it spells."""
        # not math.isfinite, which raises for a whole number beyond floats; the comparison is false for NaN
        if self.ok(_is_number(value) and abs(value) <= MOST, where, f"{_short(value)} is no number"):
            return Fraction(value) if isinstance(value, int) else exact(cast("float", value))
        return None

    def maybe_number(self, value: object, where: str) -> Fraction | None:
        """A figure, or None for null."""
        return None if value is None else self.number(value, where)

    def figures(self, value: Mapping[str, object], where: str) -> dict[str, Fraction]:
        """The good figures of an object."""
        return {name: v for name in value if (v := self.number(value[name], f"{where}.{name}")) is not None}


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _short(value: object) -> str:
    """`value` as a message shows it, of whatever length it is."""
    return f"{value!r:.40}"
