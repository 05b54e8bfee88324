"""Manifests as files: a `List` in canonical JSON, which kubectl, Argo CD and Flux apply as it is."""

import json
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

from placement.feeds.feed import FeedError, Files

Manifest: TypeAlias = dict[str, Any]


def list_bytes(items: Sequence[Manifest]) -> bytes:
    """A List, one object a line: quick to write for thousands of sites, and a line of `git diff` is an object."""
    lines = ",\n".join(json.dumps(item, sort_keys=True, ensure_ascii=False, allow_nan=False) for item in items)
    return f'{{"apiVersion": "v1", "items": [\n{lines}\n], "kind": "List"}}\n'.encode()


def manifests(files: Files, kinds: Sequence[str]) -> Iterator[tuple[str, Manifest]]:
    """(path, object) of every object in the files, by path. Raises FeedError for what is no List of these kinds."""
    for path in sorted(files):
        try:
            document = json.loads(files[path])
            items = document["items"]
            unknown = {item["kind"] for item in items} - set(kinds)
        except (ValueError, KeyError, TypeError) as error:
            raise FeedError((f"{path}: is no Kubernetes List: {error!r}",)) from error
        if document.get("kind") != "List" or unknown:
            other = ", ".join(sorted(unknown)) or str(document.get("kind"))
            raise FeedError((f"{path}: holds {other}; this feed reads a List of {', '.join(kinds)}",))
        for item in items:
            yield path, item
