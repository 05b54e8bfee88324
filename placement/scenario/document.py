"""scenario.toml: the document of a scenario."""

import datetime as dt
import re
import tomllib
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from placement.scenario.findings import Assumed, Finding, nearest, shortened

FILE = "scenario.toml"
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Name = Annotated[str, Field(min_length=1)]
Count = Annotated[int, Field(ge=0, lt=2**53, strict=True)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Goal = Literal["cost", "served", "latency", "carbon", "moves"]
Gate = Literal["units", "clock", "frozen", "route-change", "one-way", "anycast", "geolocation", "light", "stale"]
ALL_DOMAINS = "all"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)


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
    replicas_follow_slices: bool = Field(
        default=False, strict=True, description="replicas may differ between slices; servers stay around the clock"
    )
    max_tco2e_month: NotNegative | None = Field(
        default=None, description="most tCO2e a month, of energy and of making new servers, in every period"
    )
    installs_per_period: Count | None = Field(
        default=None, description="most new servers that are set up at edge sites in a period"
    )
    min_served_share: Share | None = Field(
        default=None, description="share of a month's mean requests that must be served, in every period"
    )


class Quality(_Part):
    """Which measurements are believed (docs/quality.md), and whether more is concluded from them."""

    off: tuple[Gate, ...] = Field(
        default=(),
        description="gates that are not asked, so that what they would leave out is used: units, clock, frozen, "
        "route-change, one-way, anycast, geolocation, light, stale",
    )
    neighbours: bool = Field(
        default=True,
        strict=True,
        description="whether pairs that nobody measured are inferred from measured ones of the same ends; false where "
        "slow pairs were left out of the measurements, which makes the others no sample of them",
    )


class Shapes(_Part):
    """Which of the shapes this scenario may use; an empty list means all."""

    gpus: tuple[Name, ...] = Field(default=(), description="GPU types; empty: all")
    precisions: tuple[Name, ...] = Field(default=(), description="precisions; empty: all")
    operating_points: tuple[Name, ...] = Field(default=(), description="operating points; empty: all")


class Reliability(_Part):
    """What happens when a domain fails."""

    failover: Literal["planned", "proportional", "priority"] = Field(
        default="planned", description="how traffic moves when a domain fails: planned, proportional or priority"
    )
    n_minus_1: tuple[Name, ...] = Field(
        default=(), description='kinds of domains (domains.kind) any one of which may fail; ["all"]: every domain'
    )


class Stability(_Part):
    """How far the plan may move from the one before."""

    max_moves: Count | None = Field(
        default=None, description="most replicas that may be added to those of previous_plan, in the busiest slice"
    )
    usd_per_move: NotNegative | None = Field(default=None, description="price of each replica added")
    previous_plan: Name | None = Field(
        default=None, description="folder of the plan that moves are counted from, relative to the scenario"
    )


class Objective(_Part):
    """What is made small."""

    goals: tuple[Goal, ...] = Field(
        default=("cost",),
        description="in order, each reached before the next: cost, served, latency, carbon, moves; cost is always last "
        "where it is not named",
    )
    goal_gaps: tuple[Share, ...] = Field(
        default=(), description="for each goal the share of it that later goals may give up; empty: 0.0001 each"
    )
    usd_per_tco2e: NotNegative | None = Field(default=None, description="price of carbon")


class Uncertainty(_Part):
    """What the plan makes of a pair that is inferred and not measured (docs/uncertainty.md)."""

    percentile: Annotated[float, Field(ge=0.05, le=0.95, allow_inf_nan=False)] | None = Field(
        default=None,
        description="an inferred round trip is planned as what this share of its chance lies below, 0.05 … 0.95; "
        "absent: its upper end",
    )
    late_usd_per_1000: NotNegative = Field(
        default=0.0, description="USD for a thousand requests that miss their latency budget, by the pairs' intervals"
    )


class Document(_Part):
    """scenario.toml. A rule whose key is None, False or empty is off."""

    name: Name = Field(description="what the scenario is called")
    currency: Literal["USD"] = Field(default="USD", description="all figures are US dollars")
    planning_date: dt.date | None = Field(
        default=None, description="the day that is planned for: export rules with a date and max_age_days count from it"
    )
    seed: int = Field(default=0, ge=0, lt=2**63, description="of all randomness")
    money: Money = Money()
    limits: Limits = Limits()
    quality: Quality = Quality()
    uncertainty: Uncertainty = Uncertainty()
    shapes: Shapes = Shapes()
    reliability: Reliability = Reliability()
    stability: Stability = Stability()
    objective: Objective = Objective()


OWN_WORDS = {
    "currency": (
        "bad-value",
        "all figures of a scenario are USD",
        'Convert the tables to US dollars and write currency = "USD".',
    ),
    "planning_date": ("planning-date", "not a date", "Write it as 2026-01-31."),
    "money.wacc": ("units", "the cost of capital is a share of 1 a year", "Write 8 percent as 0.08."),
    "uncertainty.percentile": (
        "units",
        "an interval says nothing of less than 5 % or more than 95 % of the chance",
        "Write a share from 0.05 to 0.95, as 0.8; leave it out to plan with the upper end.",
    ),
}
"""Keys whose faults have a message and a mend of their own: the rule of the finding, and both."""


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
    row, column = line_of(path, text), shortened(".".join(path))
    value = "" if detail["type"] == "missing" else shortened(detail["input"])
    if detail["type"] == "extra_forbidden":
        known = _keys(path[:-1])
        return Finding("unknown-key", FILE, f"unknown key {column!r}", nearest(path[-1], known), row, column, value)
    if detail["type"] == "missing":
        mend = 'Write name = "..." at the top of the file.' if column == "name" else f"Write {column} = ..."
        return Finding("missing-key", FILE, f"the key {column!r} is missing", mend, row, column)
    if column in OWN_WORDS:
        rule, message, mend = OWN_WORDS[column]
        return Finding(rule, FILE, message, mend, row, column, value)
    said = detail["msg"][:1].lower() + detail["msg"][1:]
    return Finding("bad-value", FILE, said, "Correct the value.", row, column, value)


def _keys(path: list[str]) -> list[str]:
    part: Any = Document
    for name in path:
        field = part.model_fields.get(name) if isinstance(part, type) and issubclass(part, BaseModel) else None
        part = field.annotation if field else None
    return sorted(part.model_fields) if isinstance(part, type) and issubclass(part, BaseModel) else []


def line_of(path: list[str], text: str) -> int | None:
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
