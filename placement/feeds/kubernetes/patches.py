"""JSON patches (RFC 6902: add, replace, remove) between two manifests, as Karmada's plaintext overriders take them."""

from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from typing import Any, Literal, NamedTuple

from placement.feeds.kubernetes.manifests import Manifest

Operator = Literal["add", "replace", "remove"]


class Patch(NamedTuple):
    """One change at a JSON pointer (RFC 6901)."""

    operator: Operator
    path: str
    value: Any = None

    def manifest(self) -> Manifest:
        """As an overrider."""
        made: Manifest = {"operator": self.operator, "path": self.path}
        return made if self.operator == "remove" else made | {"value": self.value}

    @classmethod
    def read(cls, made: Mapping[str, Any]) -> "Patch":
        """An overrider."""
        return cls(made["operator"], made["path"], made.get("value"))


def patches(base: Manifest, other: Manifest) -> list[Patch]:
    """What makes `other` of `base`, in the order of paths; lists change length as a whole."""
    return list(_between(base, other, ""))


def _between(base: Any, other: Any, path: str) -> Iterator[Patch]:
    if isinstance(base, dict) and isinstance(other, dict):
        for key in sorted({*base, *other}):
            step = f"{path}/{_escaped(key)}"
            if key not in other:
                yield Patch("remove", step)
            elif key not in base:
                yield Patch("add", step, other[key])
            else:
                yield from _between(base[key], other[key], step)
    elif isinstance(base, list) and isinstance(other, list) and len(base) == len(other):
        for j, (mine, theirs) in enumerate(zip(base, other, strict=True)):
            yield from _between(mine, theirs, f"{path}/{j}")
    elif base != other:
        yield Patch("replace", path, other)


def patched(base: Manifest, changes: Iterable[Patch]) -> Manifest:
    """The manifest after the changes. Raises KeyError or IndexError where a path leads nowhere."""
    made = deepcopy(base)
    for change in changes:
        *steps, last = [step.replace("~1", "/").replace("~0", "~") for step in change.path.split("/")[1:]]
        place: Any = made
        for step in steps:
            place = place[int(step)] if isinstance(place, list) else place[step]
        key: Any = int(last) if isinstance(place, list) else last
        if change.operator != "add":
            place[key]  # it must be there
        if change.operator == "remove":
            del place[key]
        else:
            place[key] = change.value
    return made


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")
