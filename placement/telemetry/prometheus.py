"""Prometheus by its HTTP API: hourly request rates by label, a few hours of all classes at a time.

Prometheus itself makes the hours: the mean, the greatest and the number of the twelve five-minute rates that end in
each, by subqueries whose steps it aligns to whole five minutes. `rate` takes care of counters that begin again.
"""

import base64
import http.client
import json
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from placement.telemetry.config import CLASS, Prometheus, rates_query
from placement.telemetry.errors import TelemetryError
from placement.telemetry.history import HOUR_S, empty, hours
from placement.telemetry.mapping import Class, Values

MOST_POINTS = 10_000
"""Prometheus refuses a range query of more than 11,000 points a series."""
OVER = {"requests_per_s": "avg_over_time", "peak_requests_per_s": "max_over_time", "windows": "count_over_time"}
_READY = "check that it runs and that url is right (curl URL/-/ready)"


def queries(source: Prometheus, labels: Sequence[str]) -> dict[str, str]:
    """PromQL by figure, each of the hour that ends: the rates' mean, greatest and number, and instances if wanted."""
    rates = rates_query(source)
    by = ", ".join(labels)
    found = {name: f"{over}((sum by ({by}) ({rates}))[59m:5m])" for name, over in OVER.items()}
    if source.min_instances_share is not None:
        instances = f"count by ({by}) (count by ({by}, instance) ({rates}))"
        found["instances"] = f"avg_over_time(({instances})[59m:5m])"
    return found


def hours_of_prometheus(
    source: Prometheus, labels: Sequence[str], class_of: Callable[[Values], Class], wanted: Iterable[int]
) -> pd.DataFrame:
    """The history of the wanted hours (since 1970), as far as anything was seen in them.

    Where a table maps several series to one class, their rates and their peaks are summed: the sum of peaks is the
    peak's upper bound.

    Raises:
        TelemetryError: it does not answer, refuses, answers in part or with what is no rate.
    """
    client = _Client(source)
    asked = queries(source, labels)
    parts = []
    for first, last in _chunks(sorted(wanted), min(source.chunk_hours, MOST_POINTS)):
        figures = [_series(client.range(query, first, last), labels, name) for name, query in asked.items()]
        parts.append(pd.concat(figures, axis=1, join="inner").reset_index())
    found = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
    if not found.empty and source.min_instances_share is not None:
        usual = found.groupby(list(labels))["instances"].transform("median")
        found = found[found["instances"] >= source.min_instances_share * usual]
    if found.empty:
        return empty()
    keys = found[list(labels)].drop_duplicates()
    classes = [class_of(tuple(map(str, values))) for values in keys.itertuples(index=False, name=None)]
    for j, name in enumerate(CLASS):
        keys[f"class {name}"] = [cls[j] for cls in classes]
    found = found.merge(keys, on=list(labels)).drop(columns=list(labels))
    found = found.rename(columns={f"class {name}": name for name in CLASS})
    summed = found.groupby(["hour", *CLASS], sort=False).agg(
        {"requests_per_s": "sum", "peak_requests_per_s": "sum", "windows": "min"}
    )
    return hours(summed.reset_index())


def _chunks(wanted: Sequence[int], most: int) -> list[tuple[int, int]]:
    """First and last of runs of neighbouring hours, `most` of them at once."""
    found: list[tuple[int, int]] = []
    for hour in wanted:
        if found and hour == found[-1][1] + 1 and hour - found[-1][0] < most:
            found[-1] = (found[-1][0], hour)
        else:
            found.append((hour, hour))
    return found


def _series(result: list[dict[str, Any]], labels: Sequence[str], name: str) -> "pd.Series[float]":
    """One figure by labels and hour."""
    hour: list[int] = []
    value: list[float] = []
    of: list[list[str]] = [[] for _ in labels]
    try:
        for series in result:
            points = series["values"]
            hour += [int(float(at)) // HOUR_S - 1 for at, _ in points]  # what ends at 13:00 began at 12:00
            value += [float(text) for _, text in points]
            for j, label in enumerate(labels):
                of[j].extend([str(series["metric"].get(label, ""))] * len(points))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise TelemetryError(f"the answer holds no series as Prometheus writes them: {error!r}"[:200]) from error
    figures = np.array(value, np.float64)
    if np.isinf(figures).any() or (figures < 0).any():
        raise TelemetryError("the query gives infinite or negative rates: ask for rate() of a counter")
    frame = pd.DataFrame({**dict(zip(labels, of, strict=True)), "hour": hour, name: figures})
    return frame.dropna().set_index([*labels, "hour"])[name]


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Whoever answers elsewhere is not who the token is for."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


class _Client:
    """Asks one Prometheus; every way in which it may not answer is a TelemetryError."""

    def __init__(self, source: Prometheus) -> None:
        self.url = str(source.url).rstrip("/")
        self.timeout_s = source.timeout_s
        try:
            self.headers = _headers(source)
            handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({}), _NoRedirect()]
            if self.url.startswith("https"):
                context = ssl.create_default_context(cafile=source.ca_file)
                if source.client_certificate_file:
                    context.load_cert_chain(source.client_certificate_file, source.client_key_file)
                handlers.append(urllib.request.HTTPSHandler(context=context))
        except (OSError, ValueError) as error:
            raise TelemetryError(f"prometheus: a token, password or certificate cannot be used: {error}") from error
        self.opener = urllib.request.build_opener(*handlers)

    def range(self, query: str, first: int, last: int) -> list[dict[str, Any]]:
        """The series of a query over the hours first … last, a point at the end of each."""
        form = {"query": query, "start": (first + 1) * HOUR_S, "end": (last + 1) * HOUR_S, "step": HOUR_S}
        form["timeout"] = f"{self.timeout_s:g}s"
        request = urllib.request.Request(
            f"{self.url}/api/v1/query_range", urllib.parse.urlencode(form).encode(), self.headers
        )
        try:
            with self.opener.open(request, timeout=self.timeout_s) as reply:
                answer = json.load(reply)
        except urllib.error.HTTPError as error:
            raise TelemetryError(self._refused(error)) from error
        except (OSError, http.client.HTTPException) as error:
            why = getattr(error, "reason", None) or error
            raise TelemetryError(f"{self.url}: no answer: {why} (timeout_s = {self.timeout_s:g}); {_READY}") from error
        except ValueError as error:
            raise TelemetryError(f"{self.url}: the answer is no JSON: {error}; {_READY}") from error
        return self._result(answer)

    def _result(self, answer: Any) -> list[dict[str, Any]]:
        """The matrix of an answer that is whole."""
        if not isinstance(answer, dict) or answer.get("status") != "success":
            raise TelemetryError(f"{self.url}: {str(answer)[:200]}")
        if answer.get("warnings"):
            told = "; ".join(map(str, answer["warnings"]))[:200]
            raise TelemetryError(f"{self.url}: the answer is in part only: {told}; mend the stores behind it")
        data = answer.get("data", {})
        if data.get("resultType") != "matrix":
            raise TelemetryError(f"{self.url}: the query gives {data.get('resultType')}, not series over time")
        result: list[dict[str, Any]] = data.get("result", [])
        return result

    def _refused(self, error: urllib.error.HTTPError) -> str:
        body = error.read(2000)
        try:
            said = str(json.loads(body)["error"])
        except (ValueError, KeyError, TypeError):
            said = body.decode("utf-8", "replace").strip().split("\n")[0][:200] or str(error.reason)
        mend = {401: "give user or bearer_token_file", 403: "the token may not read", 404: _READY}.get(error.code, "")
        if error.code in (422, 503):
            mend = "make chunk_hours smaller, or raise --query.max-samples and --query.timeout of the server"
        if 300 <= error.code < 400:
            mend = f"it sends elsewhere ({error.headers.get('Location')}): write that address as url"
        return f"{self.url}: HTTP {error.code}: {said}" + (f"; {mend}" if mend else "")


def _headers(source: Prometheus) -> dict[str, str]:
    if source.bearer_token_file:
        token = source.bearer_token_file.read_text(encoding="ascii").strip()
        if not token:
            raise ValueError(f"{source.bearer_token_file} is empty")
        return {"Authorization": f"Bearer {token}"}
    if source.user is not None and source.password_file is not None:
        password = source.password_file.read_text(encoding="utf-8").rstrip("\n")
        pair = base64.b64encode(f"{source.user}:{password}".encode()).decode()
        return {"Authorization": f"Basic {pair}"}
    return {}
