"""Names of a scenario as HAProxy can hold them: in its maps up to a blank, and as names of backends."""

import re
from functools import lru_cache
from typing import Final

_PLAIN: Final = re.compile(r"[A-Za-z0-9._-]")


@lru_cache(1 << 17)  # a plan names a place once for each class that goes there, and again in every failure
def backend(site: str, model: str) -> str:
    """The name of the backend that takes a model's requests at a site."""
    return f"{_coded(site)}::{_coded(model)}"


@lru_cache(1 << 17)
def place(name: str) -> tuple[str, str]:
    """The site and the model of a backend. Raises ValueError where it is none of ours."""
    site, apart, model = name.partition("::")
    found = (_decoded(site), _decoded(model))
    if not apart or backend(*found) != name:
        raise ValueError(f"{name!r} is no place of a plan")
    return found


def is_key(name: str) -> bool:
    """Whether a map can hold a name in its keys, where a bar parts the names of a class and a blank ends the key."""
    return bool(re.fullmatch(r"[!-{}~]+", name)) and not name.startswith("#")


def _coded(name: str) -> str:
    return "".join(
        letter if _PLAIN.fullmatch(letter) else "".join(f":{byte:02x}" for byte in letter.encode()) for letter in name
    )


def _decoded(text: str) -> str:
    return re.sub(rb":([0-9a-f]{2})", lambda match: bytes.fromhex(match[1].decode()), text.encode()).decode()
