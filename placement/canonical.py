"""JSON in one form: the same value gives the same bytes, whoever writes it."""

import json
from typing import Any


def canonical_json(value: Any) -> bytes:
    """Sorted keys, two spaces, UTF-8, one newline at the end. Raises ValueError for NaN and infinity."""
    return (json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()
