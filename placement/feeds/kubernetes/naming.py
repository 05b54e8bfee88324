"""Names that Kubernetes takes, made of ours, and back: the true names stand beside them as annotations.

A name of ours that is a DNS-1035 label stays as it is, and several are joined by "--". What does not fit (dots,
capitals, blanks, too long, or what looks like one of these) becomes what is left of it, "--x" and eight digits of its
SHA-256, so that two names meet only by a chance of 1 in 4 billion; a feed that sees that happen refuses (`Unique`).
"""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from hashlib import sha256
from typing import Any

from placement.feeds.feed import FeedError

PREFIX = "nearserve/"
"""Of our labels and annotations; a prefix without a dot belongs to no domain."""

LONGEST = 63
_LABEL = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?")
_HASHED = re.compile(r"x[0-9a-f]{8}")


@lru_cache(maxsize=1 << 16)
def dns_label(*parts: str, longest: int = LONGEST) -> str:
    """A DNS-1035 label (a-z first, a-z, 0-9 and "-") for a tuple of names; empty ones at its end say nothing."""
    while len(parts) > 1 and not parts[-1]:
        parts = parts[:-1]
    plain = "--".join(parts)
    if all(_plain(part, first=j == 0) for j, part in enumerate(parts)) and len(plain) <= longest:
        return plain
    digits = sha256("\0".join(parts).encode()).hexdigest()[:8]
    left = re.sub("[^a-z0-9]+", "-", plain.lower()).strip("-")
    left = left if left[:1].isalpha() else f"n-{left}"
    return f"{left[: longest - 11].strip('-')}--x{digits}"


def _plain(part: str, *, first: bool) -> bool:
    fits = _LABEL.fullmatch(part) or (not first and _LABEL.fullmatch(f"a{part}") and part[:1] != "-")
    return bool(fits) and "--" not in part and not _HASHED.fullmatch(part)


@lru_cache(maxsize=1 << 16)
def label_value(text: str) -> str:
    """A label's value for a name: itself where Kubernetes takes it, else as in dns_label."""
    fits = len(text) <= LONGEST and _VALUE.fullmatch(text) and not _HASHED.fullmatch(text.rpartition("--")[2])
    return text if fits else dns_label(text)


class Unique:
    """Names of one kind in one place: each stands for one thing."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._stands_for: dict[str, tuple[str, ...]] = {}

    def __call__(self, *parts: str, longest: int = LONGEST) -> str:
        """dns_label of the parts. Raises FeedError where other parts have that name already."""
        name = dns_label(*parts, longest=longest)
        if self._stands_for.setdefault(name, parts) != parts:
            both = " and ".join("/".join(filter(None, p)) for p in (self._stands_for[name], parts))
            raise FeedError((f"{self._what}: {both} would both be called {name}; rename one of them",))
        return name


def labels(names: Mapping[str, str]) -> dict[str, str]:
    """Labels by which people and selectors find things: `names`, as far as a label can say them.

    Empty ones are said, too: what no tenant has is found by its empty label, and a selector knows no other way.
    """
    return {PREFIX + key: label_value(text) for key, text in names.items()}


def annotations(names: Mapping[str, str]) -> dict[str, str]:
    """The true names, for reading back."""
    return {PREFIX + key: text for key, text in names.items() if text}


def metadata(
    name: str,
    names: Mapping[str, str],
    namespace: str | None = None,
    more_labels: Mapping[str, str] | None = None,
    more_annotations: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """An object's metadata: what it is called, whose it is, its true names; without a namespace it is the cluster's."""
    made: dict[str, Any] = {
        "name": name,
        "labels": {"app.kubernetes.io/managed-by": "nearserve", **labels(names), **(more_labels or {})},
    }
    said = {**annotations(names), **(more_annotations or {})}
    return made | ({"annotations": said} if said else {}) | ({"namespace": namespace} if namespace else {})


def true_names(metadata: Mapping[str, Any], keys: Iterable[str]) -> tuple[str, ...]:
    """The names that `annotations` wrote, "" for what is not there."""
    found = metadata.get("annotations", {})
    return tuple(found.get(PREFIX + key, "") for key in keys)
