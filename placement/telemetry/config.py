"""The table [demand] of a configuration: where request rates come from, and what is made of them."""

import datetime as dt
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AnyHttpUrl, BaseModel, ConfigDict, Field, ValidationError, model_validator

from placement.telemetry.errors import TelemetryError

Text = Annotated[str, Field(min_length=1)]
Label = Annotated[str, Field(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$")]
Days = Annotated[int, Field(ge=1, le=400)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
CLASS = ("region", "model", "service")

COUNTERS = {
    "vllm": "vllm:request_success_total",
    "envoy": "envoy_cluster_upstream_rq_completed",
}
"""What counts requests. Envoy's is that of answers, also of those that it gave itself because nobody could serve them:
what was refused is demand too, and upstream_rq_total does not hold it."""
USUAL = {"region": "region", "model": "model_name", "service": "service"}
CLUSTER = "envoy_cluster_name"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Classes(_Part):
    """Which class a series belongs to: by its labels, by a fixed name, or by a table that lists label values."""

    region: Label | None = Field(default=None, description="label that holds the region")
    model: Label | None = Field(default=None, description="label that holds the model")
    service: Label | None = Field(default=None, description="label that holds the service")
    cluster: Label | None = Field(
        default=None, description="label that holds all three, as our Envoy feed names clusters: region/model/service"
    )
    fixed: dict[Literal["region", "model", "service"], Text] = Field(
        default={}, description="what holds for every series, as {service = 'chat'}"
    )
    table: Path | None = Field(
        default=None,
        description="CSV of labels and the class that they stand for; columns: labels, then region, model, service",
    )

    def labels(self, template: str | None = None) -> dict[str, str]:
        """The label of each part of the class that is not fixed; `cluster` alone where one label holds all."""
        if self.cluster or (template == "envoy" and not (self.region or self.model or self.service or self.fixed)):
            return {"cluster": self.cluster or CLUSTER}
        usual = USUAL if template == "vllm" else {name: name for name in CLASS}
        return {name: getattr(self, name) or usual[name] for name in CLASS if name not in self.fixed}

    @model_validator(mode="after")
    def _sound(self) -> "Classes":
        if self.cluster and (self.region or self.model or self.service or self.fixed):
            raise ValueError("cluster names the whole class: leave region, model, service and fixed out")
        return self


class Prometheus(_Part):
    """A Prometheus, or what speaks its HTTP API (Thanos, Mimir, VictoriaMetrics)."""

    url: AnyHttpUrl = Field(description="its address, as http://127.0.0.1:9090")
    template: Literal["vllm", "envoy"] | None = Field(default=None, description="whose counter of requests it holds")
    selector: str = Field(default="", description='which series of the template, as job="vllm",env=~"prod.*"')
    query: str | None = Field(
        default=None, description="instead of a template: PromQL of requests per second, summed by the labels"
    )
    min_instances_share: Annotated[float, Field(gt=0, le=1)] | None = Field(
        default=None,
        description="hours in which fewer of a class' instances were scraped than this share of their usual number "
        "count as absent; their requests would be missing from the sum",
    )
    timeout_s: Annotated[float, Field(gt=0, le=3600)] = Field(default=60.0, description="of each request")
    chunk_hours: Annotated[int, Field(ge=1, le=10_000)] = Field(default=24, description="hours asked for at once")
    bearer_token_file: Path | None = Field(default=None, description="file that holds a token")
    user: str | None = Field(default=None, description="of basic authentication")
    password_file: Path | None = Field(default=None, description="file that holds its password")
    ca_file: Path | None = Field(default=None, description="certificates that its own is checked against")
    client_certificate_file: Path | None = Field(default=None, description="certificate shown to it")
    client_key_file: Path | None = Field(default=None, description="key of that certificate")

    @model_validator(mode="after")
    def _sound(self) -> "Prometheus":
        if (self.template is None) == (self.query is None):
            raise ValueError('give either template = "vllm" or "envoy", or a query of your own')
        if (self.user is None) != (self.password_file is None):
            raise ValueError("user and password_file go together")
        if self.user is not None and self.bearer_token_file is not None:
            raise ValueError("give a bearer token or a user, not both")
        if self.client_key_file is not None and self.client_certificate_file is None:
            raise ValueError("client_key_file wants client_certificate_file")
        return self


def rates_query(source: Prometheus) -> str:
    """PromQL of requests per second, by all labels that there are."""
    return source.query or f"rate({COUNTERS[str(source.template)]}{{{source.selector}}}[5m])"


class Files(_Part):
    """Tables of rates or counters: time, the labels, and a figure."""

    paths: tuple[Path, ...] = Field(min_length=1, description="CSV or Parquet files, or folders of them")
    kind: Literal["rates", "counters"] = Field(
        description="rates: requests per second over the time up to each row; counters: requests since a start"
    )
    time: Text = Field(default="observed_at", description="column of the time, ISO 8601 or seconds since 1970")
    value: Text = Field(default="value", description="column of the figure")
    longest_gap_s: Annotated[float, Field(gt=0)] = Field(
        default=600.0, description="counters further apart say nothing of the time in between"
    )


class TelemetryConfig(_Part):
    """What demand is made of. Paths are relative to the configuration's file."""

    prometheus: Prometheus | None = None
    files: Files | None = None
    classes: Classes = Classes()
    history: Path = Field(default=Path("history.parquet"), description="hourly rates of all nights, kept and added to")
    history_days: Days = Field(default=56, description="days of history that are asked for and used")
    min_history_days: Annotated[int, Field(ge=3, le=400)] = Field(
        default=14, description="days without which nothing is forecast; under 11 the week's season stays unknown"
    )
    max_gap_share: Share = Field(default=0.1, description="most hours that may be absent, of the classes' hours")
    max_age_hours: Annotated[float, Field(gt=0)] = Field(default=26.0, description="how old the newest hour may be")
    left_out: tuple[dt.date, ...] = Field(default=(), description="days like no other, that nothing is learnt from")
    quantile: Annotated[float, Field(gt=0.5, lt=1)] = Field(
        default=0.9, description="the design rate is exceeded in one of 1 / (1 - quantile) horizons"
    )
    horizon_days: Annotated[int, Field(ge=1, le=28)] = Field(default=1, description="days that the plan stands for")
    design: Literal["peak", "mean"] = Field(
        default="peak", description="the busiest five minutes of the slice, or its busiest hour's mean"
    )
    without_telemetry: Literal["keep", "drop", "refuse"] = Field(
        default="refuse", description="what becomes of classes of demand that nothing was seen of"
    )
    max_unmapped_share: Share = Field(default=0.05, description="most requests that may belong to no known class")
    coverage_slack: Share = Field(
        default=0.25, description="how far the back-test's coverage may lie below the quantile"
    )
    max_widened: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(
        default=2.0, description="most that the forecast may be widened by, by its past errors, in levels of a class"
    )

    @model_validator(mode="after")
    def _sound(self) -> "TelemetryConfig":
        if (self.prometheus is None) == (self.files is None):
            raise ValueError("give one source: [demand.prometheus] or [demand.files]")
        if self.min_history_days > self.history_days:
            raise ValueError("min_history_days is more than history_days")
        return self

    def below(self, folder: Path) -> "TelemetryConfig":
        """The same with paths relative to `folder` made whole."""

        def whole(value: Any) -> Any:
            if isinstance(value, Path):
                return folder / value
            if isinstance(value, tuple) and value and isinstance(value[0], Path):
                return tuple(folder / path for path in value)
            if isinstance(value, _Part):
                return value.model_copy(update={name: whole(getattr(value, name)) for name in type(value).model_fields})
            return value

        return self.model_copy(update={name: whole(getattr(self, name)) for name in type(self).model_fields})


def read_telemetry_config(path: Path) -> TelemetryConfig:
    """The table [demand] of a TOML file, its paths made whole.

    Raises:
        TelemetryError: the file cannot be read, has no such table, or says what cannot be; every fault at once.
    """
    try:
        whole = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise TelemetryError(f"{path}: cannot be read as TOML: {error}") from error
    if not isinstance(whole.get("demand"), dict):
        raise TelemetryError(f"{path}: has no table [demand]; docs/telemetry.md shows one")
    try:
        return TelemetryConfig.model_validate(whole["demand"]).below(path.parent)
    except ValidationError as error:
        raise TelemetryError(*(_told(path, dict(detail)) for detail in error.errors())) from error


PLAIN = {"extra_forbidden": "there is no such key", "tuple_type": "must be a list, in square brackets"}
"""What pydantic says in Python's words."""


def _told(path: Path, detail: dict[str, Any]) -> str:
    key = ".".join(["demand", *(str(part) for part in detail["loc"])])
    said = PLAIN.get(detail["type"]) or str(detail["msg"]).removeprefix("Value error, ")
    value = "" if detail["type"] in ("missing", "value_error") else f" = {repr(detail['input'])[:60]}"
    return f"{path}: {key}{value}: {said[:1].lower()}{said[1:]}"
