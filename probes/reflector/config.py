"""The reflector's configuration: one TOML file, checked whole; docs/reflector.md explains every key."""

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator, model_validator

from probes.document import Part, read_document
from probes.reflector.limits import Rates
from probes.reflector.stamp_server import Settings
from probes.reflector.train_session import TrainLimits
from probes.wire.ports import PORTS

Port = Annotated[int, Field(ge=0, le=65_535)]
Rate = Annotated[float, Field(gt=0, le=10_000_000)]
Size = Annotated[int, Field(ge=1, le=1 << 50)]
Few = Annotated[int, Field(ge=1, le=1_000_000)]


class StampPart(Part):
    """The STAMP reflector: port 0 takes any that is free."""

    enabled: bool = True
    port: Port = PORTS["stamp"]
    stateful: bool = False
    per_source_per_s: Rate = Rates().per_source
    in_all_per_s: Rate = Rates().in_all
    sources: Few = Rates().sources
    lowest_port: Port = Settings().lowest_port


class TrainPart(Part):
    """The far end of packet trains, on one port number of TCP and UDP."""

    enabled: bool = True
    port: Port = PORTS["train"]
    bytes_per_source_hour: Size = TrainLimits().bytes_per_source_hour
    bytes_in_all_hour: Size = TrainLimits().bytes_in_all_hour
    connections: Few = TrainLimits().connections
    connections_per_source: Few = TrainLimits().connections_per_source


class Ndt7Part(Part):
    """The NDT7 server, over TLS unless `tls` is false: clients encrypt where nothing else is said."""

    enabled: bool = False
    port: Port = PORTS["ndt7"]
    tls: bool = True
    certificate: str | None = None
    key: str | None = None
    token_file: str | None = None

    @model_validator(mode="after")
    def _paired(self) -> "Ndt7Part":
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key belong together; give both or neither")
        if self.enabled and self.tls and self.certificate is None:
            mend = "give certificate and key, or say tls = false (--ndt7-plain) to serve in the clear"
            raise ValueError(f"has no certificate, and clients ask by TLS; {mend}")
        if not self.tls and self.certificate is not None:
            raise ValueError("certificate and key are of no use in the clear; leave them out, or tls = false")
        return self


class MetricsPart(Part):
    """Where the counts are shown: a file for node_exporter, a port on 127.0.0.1, both or neither."""

    textfile: str | None = None
    port: Annotated[int, Field(ge=1, le=65_535)] | None = None
    every_s: Annotated[float, Field(ge=0.1, le=3600)] = 15.0


class ReflectorConfig(Part):
    """Everything a reflector is told. `user` is whom it becomes when it is started as root."""

    listen: Annotated[tuple[str, ...], Field(min_length=1)] = ("0.0.0.0", "::")
    user: Annotated[str, Field(min_length=1)] = "nobody"
    key_file: str | None = None
    stamp: StampPart = StampPart()
    train: TrainPart = TrainPart()
    ndt7: Ndt7Part = Ndt7Part()
    metrics: MetricsPart = MetricsPart()

    @field_validator("listen")
    @classmethod
    def _addresses(cls, listen: tuple[str, ...]) -> tuple[str, ...]:
        for text in listen:
            try:
                ip_address(text)
            except ValueError as error:
                raise ValueError(f"{error}; write addresses, for instance 0.0.0.0 or ::") from error
        return listen

    def stamp_settings(self) -> Settings:
        """How the STAMP server is to answer."""
        part = self.stamp
        rates = Rates(part.per_source_per_s, part.in_all_per_s, sources=part.sources)
        return Settings(rates, part.stateful, lowest_port=part.lowest_port)

    def train_limits(self) -> TrainLimits:
        """What the train server is to give."""
        part = self.train
        return TrainLimits(
            part.bytes_per_source_hour, part.bytes_in_all_hour, part.connections, part.connections_per_source
        )


def read_config(path: Path) -> ReflectorConfig:
    """The configuration in a TOML file, its paths made absolute; DocumentError with everything that is wrong."""
    return _absolute(read_document(ReflectorConfig, path), path.absolute().parent)


def _absolute(config: ReflectorConfig, folder: Path) -> ReflectorConfig:
    """Relative paths start at the file's folder, as those of agents and collectors do."""

    def under(part: Part, *names: str) -> dict[str, str]:
        return {name: str(folder / text) for name in names if (text := getattr(part, name)) is not None}

    ndt7 = config.ndt7.model_copy(update=under(config.ndt7, "certificate", "key", "token_file"))
    metrics = config.metrics.model_copy(update=under(config.metrics, "textfile"))
    return config.model_copy(update=under(config, "key_file") | {"ndt7": ndt7, "metrics": metrics})
