"""What people write, checked by pydantic: every error at once, each with file, key, value and the mend."""

import json
import tomllib
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from probes.reading import BadRecord, shortened

_SHOWN: Final = 20
_HIDDEN: Final = ("extra_forbidden", "missing")


class Part(BaseModel):
    """A table of the document: frozen, unknown keys refused, no text taken for a number or a number for text."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


Model = TypeVar("Model", bound=Part)


class DocumentError(ValueError):
    """A document that cannot be used; `faults` holds everything that is wrong with it."""

    def __init__(self, faults: Sequence[BadRecord]) -> None:
        self.faults = tuple(faults)
        more = len(self.faults) - _SHOWN
        lines = [str(fault) for fault in self.faults[:_SHOWN]]
        super().__init__("\n".join(lines + ([f"and {more} more"] if more > 0 else [])))


def validated(model: type[Model], values: Any, file: str, row: int = 0) -> tuple[Model | None, list[BadRecord]]:
    """The model of parsed TOML or JSON, or None and every fault; `row` is the line where the file has lines."""
    try:
        # By way of JSON: strict, yet a list is a tuple, as TOML and JSON have no other.
        return model.model_validate_json(json.dumps(values, default=str)), []
    except ValidationError as error:
        return None, [_translated(detail, file, row, model) for detail in error.errors(include_url=False)]


def read_document(model: type[Model], path: Path) -> Model:
    """The model of a TOML file; raises DocumentError with every fault, also where the file cannot be read."""
    try:
        values = tomllib.loads(path.read_bytes().decode())
    except OSError as error:
        why, mend = f"cannot be read: {error.strerror}", "check the path and who may read it"
        raise DocumentError([BadRecord(str(path), 0, "file", "", why, mend)]) from error
    except ValueError as error:
        why = f"is no TOML: {shortened(str(error), 200)}"
        raise DocumentError([BadRecord(str(path), 0, "file", "", why, "mend it")]) from error
    found, faults = validated(model, values, str(path))
    if found is None:
        raise DocumentError(faults)
    return found


def _translated(detail: ErrorDetails, file: str, row: int, model: type[BaseModel]) -> BadRecord:
    key = ".".join(map(str, detail["loc"])) or "the document"
    kind, message = detail["type"], detail["msg"].removeprefix("Value error, ")
    value = "" if kind in _HIDDEN else shortened(detail["input"])
    if kind == "extra_forbidden":
        return BadRecord(file, row, key, value, "this key is not known", _known(detail["loc"], model))
    if kind == "missing":
        return BadRecord(file, row, key, value, "is missing", "give it")
    # A check of ours says "what is wrong; what to do".
    message, _, mend = message.partition("; ")
    return BadRecord(file, row, key, value, message[:1].lower() + message[1:], mend or "correct the value")


def _known(place: tuple[int | str, ...], model: type[BaseModel]) -> str:
    """The keys that could have been meant where an unknown one stands."""
    here: Any = model
    for step in place[:-1]:
        field = getattr(here, "model_fields", {}).get(step)
        here = _inner(field.annotation) if field else here
    names = list(getattr(here, "model_fields", {}))
    close = get_close_matches(str(place[-1]), names, 1)
    return f"did you mean {close[0]}?" if close else f"remove it, or use one of {', '.join(names)}"


def _inner(annotation: Any) -> Any:
    """The table behind `Table | None`, `tuple[Table, ...]` or `dict[str, Table]`."""
    for part in getattr(annotation, "__args__", ()):
        found = _inner(part)
        if isinstance(found, type) and issubclass(found, BaseModel):
            return found
    return annotation
