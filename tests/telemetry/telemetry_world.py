"""Six hours of requests whose every rate is known, for Prometheus and for files of counters; a sample a minute.

paris   2 requests/s that stop and 0.5 that are cut off, in series of their own; in the hour from 04:00 eight
        instead of two between 04:20 and 04:25; nothing is lost
berlin  1 request/s; its process begins again at 01:30, and nobody asks it from 03:00 to 04:00
nowhere 0.25 requests/s of a model that the scenario does not name
"""

from datetime import UTC, datetime

from tests.telemetry.prometheus_server import Series

START = datetime(2026, 1, 5, tzinfo=UTC)
BEGIN_S = int(START.timestamp())
HOURS = 6
MINUTE_S, HOUR_S = 60, 3600
METRIC = "vllm:request_success_total"


def labels(region: str, model: str = "m8", **other: str) -> dict[str, str]:
    """As vLLM labels them, with two of the operator's own."""
    return {"region": region, "model_name": model, "service": "chat", "job": "vllm", **other}


def counted(per_minute: list[float], first: float = 0.0) -> list[float]:
    """A counter's figures at the minutes 0, 1, ...; None of them is lost."""
    found = [first]
    for more in per_minute:
        found.append(found[-1] + more)
    return found


def minutes(figures: list[float]) -> list[tuple[int, float]]:
    """The figures with their times."""
    return [(BEGIN_S + j * MINUTE_S, value) for j, value in enumerate(figures)]


def series() -> list[Series]:
    """All of them."""
    whole = HOURS * 60
    burst = [480.0 if 260 <= j < 265 else 120.0 for j in range(whole)]
    restarted = counted([60.0] * 89) + counted([60.0] * (whole - 90), first=60.0)
    asked = [(at, v) for at, v in minutes(restarted) if not 3 * HOUR_S < at - BEGIN_S < 4 * HOUR_S]
    return [
        (labels("paris", finished_reason="stop"), minutes(counted(burst))),
        (labels("paris", finished_reason="length"), minutes(counted([30.0] * whole))),
        (labels("berlin", finished_reason="stop"), asked),
        (labels("atlantis", "m9", finished_reason="stop"), minutes(counted([15.0] * whole))),
    ]
