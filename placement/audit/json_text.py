"""Strict JSON: UTF-8, no NaN, no key twice."""

import json
from pathlib import Path
from typing import Any, NoReturn


class JsonError(ValueError):
    """The file cannot be read as strict JSON."""


def read_json(path: Path) -> Any:
    """The value in the file.

    Raises:
        JsonError: the file is missing, not UTF-8, not JSON, holds NaN or an infinity, or names a key twice.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"), parse_constant=_no_constant, object_pairs_hook=_unique)
    except (OSError, ValueError, RecursionError) as error:
        raise JsonError(str(error)) from error


def _no_constant(name: str) -> NoReturn:
    raise JsonError(f"{name} is no number")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise JsonError("a key is given twice")
    return value
