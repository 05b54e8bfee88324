"""scenario.toml: the document of a scenario."""

import datetime as dt
import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from placement.scenario.findings import Assumed, Finding, nearest, shortened

FILE = "scenario.toml"
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Name = Annotated[str, Field(min_length=1)]
LATER = "later"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)


def _later(description: str) -> Any:
    """A key that is read and that `plan` refuses while it is set."""
    return Field(default=None, description=description, json_schema_extra={LATER: True})


class Money(_Part):
    """What money and time are worth."""

    wacc: float = Field(default=0.08, ge=0, lt=1, allow_inf_nan=False, description="cost of capital a year, as a share")
    latency_usd_per_million_request_ms: NotNegative = Field(
        default=0.0, description="USD for a million requests that each wait a millisecond"
    )


class Limits(_Part):
    """Limits that hold everywhere."""

    bandwidth_free_kbyte: NotNegative = Field(
        default=14.0, description="a request up to this size needs no known bandwidth: it fits in a first TCP window"
    )
    default_residency: str = Field(default="", description="set of the table residency where none is named")
    max_age_days: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = Field(
        default=None, description="older measurements are not used, counted back from planning_date"
    )
    replicas_follow_slices: bool | None = _later("replicas may differ between slices")
    max_tco2e_month: NotNegative | None = _later("carbon limit")
    installs_per_period: int | None = _later("most servers that can be installed in a period")


class Shapes(_Part):
    """Which of the shapes this scenario may use; an empty list means all."""

    gpus: tuple[Name, ...] = Field(default=(), description="GPU types; empty: all")
    precisions: tuple[Name, ...] = Field(default=(), description="precisions; empty: all")
    operating_points: tuple[Name, ...] = Field(default=(), description="operating points; empty: all")


class Reliability(_Part):
    """What happens when a domain fails."""

    failover: Literal["planned", "proportional", "priority"] | None = _later("how traffic moves when a domain fails")
    n_minus_1: tuple[str, ...] | None = _later("kinds of domains that may fail")


class Stability(_Part):
    """How far the plan may move from the one before."""

    max_moves: int | None = _later("most replicas that may be added")
    usd_per_move: NotNegative | None = _later("price of a move")
    previous_plan: str | None = _later("the plan that moves are counted from")


class Objective(_Part):
    """What is made small."""

    goals: tuple[Name, ...] = Field(default=("cost",), description="only cost, so far")
    usd_per_tco2e: NotNegative | None = _later("price of carbon")


class Document(_Part):
    """scenario.toml. Keys of later work are None until they are set."""

    name: Name = Field(description="what the scenario is called")
    currency: Literal["USD"] = Field(default="USD", description="all figures are US dollars")
    planning_date: dt.date | None = Field(
        default=None, description="the day that is planned for: export rules with a date and max_age_days count from it"
    )
    seed: int = Field(default=0, ge=0, lt=2**63, description="of all randomness")
    money: Money = Money()
    limits: Limits = Limits()
    shapes: Shapes = Shapes()
    reliability: Reliability = Reliability()
    stability: Stability = Stability()
    objective: Objective = Objective()


def parse(text: str) -> tuple[Document | None, list[Finding]]:
    """The document of the text of a scenario.toml, or None and what is wrong with it."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return None, [_syntax(str(error), text)]
    except (ValueError, RecursionError, OverflowError) as error:
        return None, [Finding("toml-syntax", FILE, f"not readable as TOML: {shortened(error)}", "Correct the file.")]
    try:
        return Document.model_validate(raw), []
    except ValidationError as error:
        return None, [_translated(detail, text) for detail in error.errors()]


def _syntax(message: str, text: str) -> Finding:
    place = re.search(r"\(at line (\d+), column (\d+)\)", message)
    row = int(place.group(1)) if place else text.count("\n") + 1
    said = re.sub(r"\s*\(at .*\)$", "", message)
    lines = text.splitlines()
    value = shortened(lines[row - 1].strip()) if 0 < row <= len(lines) else ""
    mend = "TOML wants key = value: text in double quotes, dates as 2026-01-31, lists in [ ]."
    return Finding("toml-syntax", FILE, f"not TOML: {said[:1].lower()}{said[1:]}", mend, row, value=value)


def _translated(detail: ErrorDetails, text: str) -> Finding:
    path = [str(part) for part in detail["loc"]]
    row, column = _line_of(path, text), shortened(".".join(path))
    value = "" if detail["type"] == "missing" else shortened(detail["input"])
    if detail["type"] == "extra_forbidden":
        known = _keys(path[:-1])
        return Finding("unknown-key", FILE, f"unknown key {column!r}", nearest(path[-1], known), row, column, value)
    if detail["type"] == "missing":
        mend = 'Write name = "..." at the top of the file.' if column == "name" else f"Write {column} = ..."
        return Finding("missing-key", FILE, f"the key {column!r} is missing", mend, row, column)
    if column == "currency":
        mend = 'Convert the tables to US dollars and write currency = "USD".'
        return Finding("bad-value", FILE, "all figures of a scenario are USD", mend, row, column, value)
    if column == "planning_date":
        return Finding("planning-date", FILE, "not a date", "Write it as 2026-01-31.", row, column, value)
    if column == "money.wacc":
        message, mend = "the cost of capital is a share of 1 a year", "Write 8 percent as 0.08."
        return Finding("units", FILE, message, mend, row, column, value)
    said = detail["msg"][:1].lower() + detail["msg"][1:]
    return Finding("bad-value", FILE, said, "Correct the value.", row, column, value)


def _keys(path: list[str]) -> list[str]:
    part: Any = Document
    for name in path:
        field = part.model_fields.get(name) if isinstance(part, type) and issubclass(part, BaseModel) else None
        part = field.annotation if field else None
    return sorted(part.model_fields) if isinstance(part, type) and issubclass(part, BaseModel) else []


def _line_of(path: list[str], text: str) -> int | None:
    """The line that sets the key: good enough to point at, None where it cannot be found."""
    section = ""
    lines = text.splitlines()
    keys = [part for part in path if not part.isdigit()]
    for number, line in enumerate(lines, 1):
        header = re.match(r"\s*\[+\s*([\w.-]+)\s*\]+", line)
        if header:
            section = header.group(1)
            if section == ".".join(keys):
                return number
            continue
        key = re.match(r"\s*[\"']?([\w.-]+)[\"']?\s*=", line)
        if key and [part for part in (*section.split("."), *key.group(1).split(".")) if part] == keys:
            return number
    return None


def document_later(document: Document) -> list[Finding]:
    """Keys of later work that are set: `plan` refuses them by name."""
    found = [
        Finding("later", FILE, f"plan will refuse: {field} ({words}) is not supported yet", f"Remove {field}.",
                column=field, value=shortened(value), severity="later")
        for field, words, value in _set_later_keys(document)
    ]  # fmt: skip
    if document.objective.goals != ("cost",):
        value = shortened(", ".join(document.objective.goals))
        message = "plan will refuse: the only goal so far is cost"
        mend = 'Write goals = ["cost"] or remove the key.'
        found.append(Finding("later", FILE, message, mend, None, "objective.goals", value, "later"))
    return found


def _set_later_keys(document: Document) -> Iterator[tuple[str, str, object]]:
    for section in type(document).model_fields:
        part = getattr(document, section)
        if not isinstance(part, BaseModel):
            continue
        for name, field in type(part).model_fields.items():
            extra = field.json_schema_extra
            value = getattr(part, name)
            if isinstance(extra, Mapping) and extra.get(LATER) and value is not None and value is not False:
                yield f"{section}.{name}", field.description or "", value


def document_assumed(document: Document) -> list[Assumed]:
    """Figures of the document that its author left to us."""
    found = []
    if "wacc" not in document.money.model_fields_set:
        found.append(Assumed(FILE, "money.wacc", 1, f"{document.money.wacc:g}", "share a year", "not given"))
    if "bandwidth_free_kbyte" not in document.limits.model_fields_set:
        value = f"{document.limits.bandwidth_free_kbyte:g}"
        found.append(Assumed(FILE, "limits.bandwidth_free_kbyte", 1, value, "kB", "not given"))
    return found


def shape_filters(document: Document) -> dict[str, tuple[str, ...]]:
    """Column of the table shapes -> the values that [shapes] lets the scenario use; empty means all."""
    wanted = document.shapes
    return {"gpu": wanted.gpus, "precision": wanted.precisions, "operating_point": wanted.operating_points}
