"""The agent's configuration: one TOML file, checked whole; docs/agent.md explains every key."""

import os
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, field_validator, model_validator

from probes.agent.allow import Policy
from probes.agent.spool import LEAST_BYTES
from probes.agent.targets import Target, duplicates, read_targets
from probes.document import DocumentError, Part, read_document
from probes.reading import BadRecord
from probes.transport import AGENT_NAME
from probes.wire.ports import PORTS

Name = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\s\x00-\x1f\x7f](.*[^\s\x00-\x1f\x7f])?$")]
Seconds = Annotated[float, Field(gt=0, le=7 * 86_400)]
Timeout = Annotated[float, Field(gt=0, le=60)]
Port = Annotated[int, Field(ge=1, le=65_535)]
Direction = Literal["down", "up"]
Directions = Annotated[tuple[Direction, ...], Field(min_length=1, max_length=2)]
Rate = Annotated[float, Field(gt=0, le=1e6)]
SWEPT: Final = ("icmp", "tcp", "stamp")
"""Methods that measure many targets at a time; the others take one after the other."""
BANDWIDTH: Final = ("train", "ndt7")


class Collector(Part):
    """Where records go, and who we are there: a token, a client certificate, or both."""

    url: str
    token_file: str | None = None
    certificate: str | None = None
    key: str | None = None
    authority: str | None = None

    @field_validator("url")
    @classmethod
    def _https(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme != "https" or not parts.hostname or parts.username or parts.query or parts.fragment:
            raise ValueError("is no https://HOST[:PORT][/PATH]; records and tokens do not travel in the clear")
        return url

    @model_validator(mode="after")
    def _known(self) -> "Collector":
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key belong together; give both or neither")
        if self.token_file is None and self.certificate is None:
            raise ValueError("the collector would not know the agent; give token_file, or certificate and key")
        return self


class SpoolPart(Part):
    """Where records wait for the collector, and how many bytes they may take."""

    path: Annotated[str, Field(min_length=1)]
    max_bytes: Annotated[int, Field(ge=LEAST_BYTES, le=1 << 40)] = 512 << 20


class Targets(Part):
    """A list of targets in a file, read again when it changes."""

    file: Annotated[str, Field(min_length=1)]


class Allow(Part):
    """What may be measured; nothing else is, whatever the targets say."""

    networks: Annotated[tuple[str, ...], Field(min_length=1)]
    ports: tuple[Port, ...] = tuple(sorted(set(PORTS.values())))

    @field_validator("networks")
    @classmethod
    def _networks(cls, networks: tuple[str, ...]) -> tuple[str, ...]:
        for text in networks:
            try:
                ip_network(text)
            except ValueError as error:
                raise ValueError(f"{error}; write it as 203.0.113.0/24 or 2001:db8::/32") from error
        return networks

    @property
    def policy(self) -> Policy:
        """The same for the check of addresses."""
        return Policy(tuple(map(ip_network, self.networks)), frozenset(self.ports))


class Rates(Part):
    """Limits in all, and for one address over all methods."""

    packets_per_s: Rate = 1000.0
    target_packets_per_s: Rate = 1.0
    target_burst: Annotated[int, Field(ge=1, le=10_000)] = 30
    bandwidth_mbyte_per_hour: Annotated[float, Field(gt=0, le=1e6)] = 4000.0
    target_mbyte_per_hour: Annotated[float, Field(gt=0, le=1e6)] = 1000.0


class Dns(Part):
    """Names of targets: how long a lookup may take, how often it is repeated, how long a dead name is believed."""

    timeout_s: Timeout = 5.0
    refresh_s: Seconds = 300.0
    keep_s: Seconds = 86_400.0


class Metrics(Part):
    """The agent's own metrics: a file for node_exporter's textfile collector, or HTTP on loopback."""

    textfile: str | None = None
    port: Port | None = None

    @field_validator("textfile")
    @classmethod
    def _prom(cls, textfile: str | None) -> str | None:
        if textfile is not None and not textfile.endswith(".prom"):
            raise ValueError("node_exporter reads *.prom only; end the name so")
        return textfile


class Method(Part):
    """What every method has: how often, and how long to wait."""

    interval_s: Seconds
    timeout_s: Timeout = 2.0


class Icmp(Method):
    """ICMP echo."""

    probes: Annotated[int, Field(ge=1, le=100)] = 3


class Tcp(Method):
    """TCP connect."""

    probes: Annotated[int, Field(ge=1, le=100)] = 3


class Stamp(Method):
    """STAMP to reflectors, authenticated where a key is given."""

    probes: Annotated[int, Field(ge=1, le=100)] = 5
    key_file: str | None = None
    source_port: Annotated[int, Field(ge=0, le=65_535)] = 0


class Encrypted(Method):
    """What the methods over TLS share: `tls` false is in the clear, `authority` else than the system's."""

    timeout_s: Timeout = 10.0
    tls: bool = True
    authority: str | None = None

    @model_validator(mode="after")
    def _needed(self) -> "Encrypted":
        if self.authority is not None and not self.tls:
            raise ValueError("authority is of no use in the clear; leave it out, or leave out tls = false")
        return self


class Http(Encrypted):
    """Time to first byte; TLS unless `tls` is false."""

    path: Annotated[str, Field(pattern=r"^/[\x21-\x7e]*$", max_length=2000)] = "/"


class Train(Method):
    """Capacity by packet trains to a receiver of ours."""

    interval_s: Annotated[float, Field(ge=60, le=7 * 86_400)]
    timeout_s: Timeout = 20.0
    directions: Directions = ("down", "up")
    key_file: str | None = None
    overhead_bytes: Annotated[int, Field(ge=0, le=200)] = 0


class Ndt7(Encrypted):
    """Achievable TCP to an NDT7 server; with `loaded`, round trips by TCP connect without its load and under it."""

    interval_s: Annotated[float, Field(ge=60, le=7 * 86_400)]
    directions: Directions = ("down", "up")
    token_file: str | None = None
    loaded: bool = False


class Methods(Part):
    """The methods in use; a method that is not given is not used, also where targets name it."""

    icmp: Icmp | None = None
    tcp: Tcp | None = None
    stamp: Stamp | None = None
    http: Http | None = None
    train: Train | None = None
    ndt7: Ndt7 | None = None

    @model_validator(mode="after")
    def _any(self) -> "Methods":
        if not self.used:
            raise ValueError("no method is given; give one, as [methods.icmp] with interval_s = 60")
        return self

    @property
    def used(self) -> dict[str, Method]:
        """The methods that are given, by name."""
        return {name: getattr(self, name) for name in type(self).model_fields if getattr(self, name) is not None}


def _agent_name(name: str) -> str:
    if not AGENT_NAME.fullmatch(name):
        raise ValueError("is no name of an agent; use letters, digits, . _ -, at most 63")
    return name


PACKETS: Final = {"icmp": 1, "tcp": 3, "stamp": 1, "http": 20}
"""Packets that a probe of a method sends; of bandwidth tests bytes are counted, afterwards."""


def packets(name: str, method: Method) -> int:
    """Packets that a round of a method sends to each target, 0 for bandwidth tests."""
    return PACKETS.get(name, 0) * int(getattr(method, "probes", 1))


class Config(Part):
    """The whole file. Paths in it are relative to its folder; `resolved` gives them."""

    agent: Annotated[str, AfterValidator(_agent_name)]
    source: Name
    user: Name | None = None
    spool: SpoolPart
    allow: Allow
    methods: Methods
    targets: Targets | None = None
    target: tuple[Target, ...] = ()
    collector: Collector | None = None
    rates: Rates = Rates()
    dns: Dns = Dns()
    metrics: Metrics = Metrics()

    @model_validator(mode="after")
    def _targets(self) -> "Config":
        if (self.targets is None) == (not self.target):
            raise ValueError("targets stand in one place; give either [targets] with file, or [[target]] tables")
        return self

    @model_validator(mode="after")
    def _within_rates(self) -> "Config":
        wanted = sum(packets(name, method) / method.interval_s for name, method in self.methods.used.items())
        burst = max(packets(name, method) for name, method in self.methods.used.items())
        if wanted > self.rates.target_packets_per_s or burst > self.rates.target_burst:
            raise ValueError(
                f"the methods want {wanted:.3g} packets/s to each target, {burst} at once, above"
                f" rates.target_packets_per_s = {self.rates.target_packets_per_s:g} or target_burst ="
                f" {self.rates.target_burst}; lengthen intervals, send fewer probes, or raise the limit"
            )
        return self


def read_config(path: Path) -> Config:
    """The configuration; raises DocumentError with every fault. Its list of targets is for `load_targets`."""
    config = read_document(Config, path)
    found = list(duplicates(config.target, str(path), range(1, len(config.target) + 1)))
    found += _missing_files(config, path)
    if found:
        raise DocumentError(found)
    return config


def load_targets(config: Config, path: Path) -> list[Target]:
    """The targets of a configuration that was read from `path`; raises DocumentError, also where the file is gone."""
    if config.targets is None:
        return list(config.target)
    file = resolved(path, config.targets.file)
    try:
        return read_targets(file)
    except OSError as error:
        mend = "write it with `nearserve probe targets`, and let the agent's user read it"
        raise DocumentError([BadRecord(str(file), 0, "file", "", f"cannot be read: {error.strerror}", mend)]) from error


def unused(config: Config, targets: list[Target]) -> dict[str, int]:
    """How many targets name a method that the configuration does not use, by method."""
    counts: dict[str, int] = {}
    for target in targets:
        for method in target.ports:
            if method not in config.methods.used:
                counts[method] = counts.get(method, 0) + 1
    return counts


def resolved(config_path: Path, text: str) -> Path:
    """A path of the configuration: relative ones start at its folder."""
    return config_path.parent / text


def unreadable_files(config: Config, path: Path) -> list[BadRecord]:
    """Files that the configuration names and that this process may not read, as whoever it is now."""
    faults = []
    for key, value in _named_files(config).items():
        try:
            resolved(path, value).open("rb").close()
        except OSError as error:
            why = f"cannot be read by user {os.geteuid()}: {error.strerror}"
            mend = "let the agent's user read it, and enter its folders (chown, chmod)"
            faults.append(BadRecord(str(path), 0, key, value, why, mend))
    return faults


def _named_files(config: Config) -> dict[str, str]:
    """Every file that is read while the agent runs, by the key that names it."""
    collector: dict[str, Any] = config.collector.model_dump(exclude={"url"}) if config.collector else {}
    named = {f"collector.{key}": value for key, value in collector.items()}
    for name, method in config.methods.used.items():
        for key in ("key_file", "token_file", "authority"):
            named[f"methods.{name}.{key}"] = getattr(method, key, None)
    return {key: value for key, value in named.items() if value is not None}


def _missing_files(config: Config, path: Path) -> list[BadRecord]:
    """Files that the configuration names and that are not there."""
    faults = [
        BadRecord(str(path), 0, key, value, "there is no such file", "create it, or correct the path")
        for key, value in _named_files(config).items()
        if not resolved(path, value).is_file()
    ]
    folder = resolved(path, config.spool.path).parent
    if not folder.parent.is_dir():
        faults.append(
            BadRecord(str(path), 0, "spool.path", config.spool.path, f"there is no {folder.parent}", "create it")
        )
    return faults
