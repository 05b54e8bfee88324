"""What the configuration says of HAProxy: where it listens, and how a request says its class."""

import re
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from placement.feeds.feed import Options

_WORD: Final = r"[A-Za-z0-9_.-]+"
_EXPRESSIONS: Final = {
    "header": (_WORD, "req.hdr({})"),
    "path": (r"[1-9][0-9]?", "path,field({},/),url_dec"),  # the first field is what is before the first /
    "query": (_WORD, "urlp({}),url_dec"),
    "json": (_WORD, "req.body,json_query('$.{}')"),
    "is": (_WORD, "str({})"),
}
NETWORK: Final = "network"


def expression(source: str) -> str:
    """HAProxy's expression of where a request says something. Raises ValueError for what is no such place."""
    if source == NETWORK:
        return "src,map_ip(regions.map)"
    kind, _, name = source.partition(":")
    pattern, form = _EXPRESSIONS.get(kind, ("(?!)", ""))
    if not re.fullmatch(pattern, name):
        raise ValueError("says no place of a request; write header:NAME, path:NUMBER, query:NAME, json:KEY or is:VALUE")
    return form.format(int(name) + 1 if kind == "path" else name)


def _source(text: str) -> str:
    expression(text)
    return text


def _line(text: str) -> str:
    if not re.fullmatch(r"[!-~]([ -~]*[!-~])?", text) or "#" in text:
        raise ValueError("is no part of a line of HAProxy's configuration; write it in ASCII without #")
    return text


Source = Annotated[str, AfterValidator(_source)]
Line = Annotated[str, AfterValidator(_line)]


class HaproxyOptions(Options):
    """The table [haproxy].

    `region`, `model` and `service` say where a request names them: a header, a part of its path, its query, its JSON
    body; `is:` a fixed value; for the region also `network`, by the client's address and the table `clients`. `server`
    is added to every server line, as for TLS.
    """

    bind: tuple[Line, ...] = ("127.0.0.1:8080",)
    region: Source = "header:x-region"
    model: Source = "header:x-model"
    service: Source = "header:x-service"
    clients: Path | None = None
    balance: Literal["leastconn", "roundrobin", "random"] = "leastconn"
    server: Line | None = None
    resolvers: Line | None = None
    health_path: Line | None = None
    health_interval_ms: Annotated[int, Field(ge=50, le=600_000)] = 2000
    unserved_status: Annotated[int, Field(ge=400, le=599)] = 429
    connect_timeout_ms: Annotated[int, Field(ge=1)] = 5000
    idle_timeout_ms: Annotated[int, Field(ge=1)] = 600_000
    most_sites: Annotated[int, Field(ge=1, le=64)] = 8

    @model_validator(mode="after")
    def _networks_need_their_table(self) -> Self:
        if NETWORK in (self.model, self.service):
            raise ValueError("only a region is told by a network; say where a request names its model and service")
        if (self.region == NETWORK) != (self.clients is not None):
            raise ValueError('region = "network" and the table `clients` belong together; give both or none')
        return self
