"""What the configuration says of the zone."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from placement.feeds.addresses import is_host, is_ip
from placement.feeds.feed import Options


def _name(text: str) -> str:
    if is_ip(text) or not is_host(text):
        raise ValueError("is no name that DNS could know; write it as ai.example.net")
    return text.lower().removesuffix(".")


def _host(text: str) -> str:
    if not is_host(text):
        raise ValueError("is neither an IP address nor a name; write it as 192.0.2.10, 2001:db8::1 or a.example.net")
    return text.lower().removesuffix(".")


Name = Annotated[str, AfterValidator(_name)]
Host = Annotated[str, AfterValidator(_host)]


class PowerDnsOptions(Options):
    """The table [powerdns].

    `elsewhere` takes what the plan leaves unserved, and whoever belongs to no region; either addresses or one name.
    `clients` is a table of who belongs to which region.
    """

    zone: Name
    nameservers: tuple[Name, ...] = Field(min_length=1)
    hostmaster: Name | None = None
    ttl_s: Annotated[int, Field(ge=1, le=86400)] = 60
    elsewhere: tuple[Host, ...] = ()
    clients: Path | None = None

    @model_validator(mode="after")
    def _nameservers_stand_outside(self) -> Self:
        within = [name for name in self.nameservers if f".{name}".endswith(f".{self.zone}")]
        if within:
            raise ValueError(f"{', '.join(within)} within the zone would need addresses; name servers outside of it")
        return self

    @model_validator(mode="after")
    def _elsewhere_is_one_thing(self) -> Self:
        if len(self.elsewhere) > 1 and not all(map(is_ip, self.elsewhere)):
            raise ValueError("elsewhere is several names; give addresses, or one name")
        return self
