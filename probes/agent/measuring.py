"""The methods as the agent calls them: by name, with the settings of the configuration, to records.

A method's module is imported when it is first used: an agent that only pings loads nothing else.
"""

import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from probes.agent.config import PACKETS, SWEPT, Config, Direction, Encrypted, Stamp, Train, resolved
from probes.methods.endpoint import Endpoint
from probes.record import Record
from probes.wire.authority import trusting
from probes.wire.keys import read_keys, read_token

Measure = Callable[[Sequence[Endpoint], Any, "Means"], list[Record]]
"""(endpoints, the method's table of the configuration, means) to records, in any order."""

LOADED_PER_S: Final = 20.0
"""Connects a second beside a bandwidth test: enough for a p95 in ten seconds, and no load of their own."""


@dataclass(frozen=True, slots=True)
class Means:
    """What methods need besides their settings: the source's name, packets a second, secrets by method, bytes left.

    `trusts`: TLS by method, where it is not by the system's authorities.
    """

    source: str
    packets_per_s: float
    keys: Mapping[str, bytes] = field(default_factory=dict)
    tokens: Mapping[str, str] = field(default_factory=dict)
    trusts: Mapping[str, ssl.SSLContext] = field(default_factory=dict)
    max_bytes: int = 1 << 40


def means(config: Config, path: Path) -> Means:
    """The means of a configuration that was read from `path`; KeyFileError where one of its files cannot be."""
    used = config.methods.used
    key_files = {name: method.key_file for name, method in used.items() if isinstance(method, Stamp | Train)}
    keys = {name: read_keys(resolved(path, file))[0] for name, file in key_files.items() if file}
    ndt7 = config.methods.ndt7
    token_file = ndt7.token_file if ndt7 else None
    tokens = {"ndt7": read_token(resolved(path, token_file))} if token_file else {}
    authorities = {name: method.authority for name, method in used.items() if isinstance(method, Encrypted)}
    trusts = {name: trusting(resolved(path, file)) for name, file in authorities.items() if file}
    return Means(config.source, config.rates.packets_per_s, keys, tokens, trusts)


def _tls(method: str, settings: Encrypted, given: Means) -> ssl.SSLContext | None:
    """TLS as the method's table wants it; the system's authorities are read anew each time, as they change."""
    return (given.trusts.get(method) or trusting(None)) if settings.tls else None


def _icmp(endpoints: Sequence[Endpoint], settings: Any, given: Means) -> list[Record]:
    from probes.methods import icmp, sweep  # noqa: PLC0415

    found = icmp.sweep(endpoints, rate_per_s=given.packets_per_s, probes=settings.probes, timeout_s=settings.timeout_s)
    return sweep.records(found, given.source)


def _tcp(endpoints: Sequence[Endpoint], settings: Any, given: Means) -> list[Record]:
    from probes.methods import sweep, tcp  # noqa: PLC0415

    rate = given.packets_per_s / PACKETS["tcp"]
    found = tcp.sweep(endpoints, rate_per_s=rate, probes=settings.probes, timeout_s=settings.timeout_s)
    return sweep.records(found, given.source)


def _stamp(endpoints: Sequence[Endpoint], settings: Any, given: Means) -> list[Record]:
    from probes.methods import stamp, sweep  # noqa: PLC0415

    found = stamp.sweep(
        endpoints,
        rate_per_s=given.packets_per_s,
        probes=settings.probes,
        timeout_s=settings.timeout_s,
        key=given.keys.get("stamp"),
        source_port=settings.source_port,
    )
    return sweep.records(found, given.source)


def _http(endpoints: Sequence[Endpoint], settings: Any, given: Means) -> list[Record]:
    from probes.methods import http  # noqa: PLC0415

    context = _tls("http", settings, given)
    return [
        http.measure(
            endpoint,
            source=given.source,
            tls=settings.tls,
            path=settings.path,
            timeout_s=settings.timeout_s,
            context=context,
        ).record
        for endpoint in endpoints
    ]


def _train(endpoints: Sequence[Endpoint], settings: Any, given: Means) -> list[Record]:
    from probes.methods import train  # noqa: PLC0415

    return [
        train.measure(
            endpoint,
            direction=direction,
            source=given.source,
            key=given.keys.get("train"),
            overhead_bytes=settings.overhead_bytes,
            timeout_s=settings.timeout_s,
        )
        for endpoint in endpoints
        for direction in settings.directions
    ]


def _ndt7(endpoints: Sequence[Endpoint], settings: Any, given: Means) -> list[Record]:
    tls = _tls("ndt7", settings, given)
    left = given.max_bytes
    records: list[Record] = []
    for endpoint in endpoints:
        for direction in settings.directions:
            found = _throughput(endpoint, direction, settings, replace(given, max_bytes=max(left, 1)), tls)
            left -= sum(record.bytes or 0 for record in found)
            records += found
    return records


def _throughput(
    endpoint: Endpoint, direction: Direction, settings: Any, given: Means, tls: ssl.SSLContext | None
) -> list[Record]:
    """One NDT7 test; where it is asked for, with round trips before it and under its load."""
    from probes.methods import loaded, ndt7, tcp  # noqa: PLC0415

    def test(began: Callable[[], None] | None = None) -> ndt7.Throughput:
        return ndt7.measure(
            endpoint,
            direction=direction,
            source=given.source,
            seconds=settings.timeout_s,
            max_bytes=given.max_bytes,
            tls=tls,
            token=given.tokens.get("ndt7"),
            began=began,
        )

    if not settings.loaded:
        return [test().record]
    rate = min(LOADED_PER_S, given.packets_per_s / PACKETS["tcp"])
    return [
        *loaded.measure(test, partial(tcp.sweep, [endpoint], rate_per_s=rate, probes=3), source=given.source).records
    ]


METHODS: Final[dict[str, Measure]] = {
    "icmp": _icmp,
    "tcp": _tcp,
    "stamp": _stamp,
    "http": _http,
    "train": _train,
    "ndt7": _ndt7,
}
MODULES: Final = {
    method: ("probes.methods.sweep", f"probes.methods.{method}") if method in SWEPT else (f"probes.methods.{method}",)
    for method in METHODS
} | {"ndt7": ("probes.methods.ndt7", "probes.methods.loaded", "probes.methods.tcp")}
"""What each method imports at its first use."""
