"""Rules of CRDs in CEL (`x-kubernetes-validations`), evaluated as an API server does for an object that is new.

The language itself is that of cel-expr-python, which wraps the reference implementation in C++. Functions that only
Kubernetes adds (quantity, url, ip, ...) are not there: rules that use them are named as not checked.
"""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

_KEYWORDS = re.compile(
    "true|false|null|in|as|break|const|continue|else|for|function|if|import|let|loop|package|namespace|return|var|void|while"
)
_ESCAPES = {"__": "__underscores__", ".": "__dot__", "-": "__dash__", "/": "__slash__"}


class MissingCelError(ImportError):
    """The library that evaluates CEL is not installed; the message says how to install it."""


class Verdict(NamedTuple):
    """What a rule says of a value: nothing, why it is broken, or why it could not be asked."""

    broken: str | None = None
    unchecked: str | None = None


def escaped(name: str) -> str:
    """A property's name as rules write it (Kubernetes' own escapes)."""
    if _KEYWORDS.fullmatch(name):
        return f"__{name}__"
    return re.sub("__|[./-]", lambda found: _ESCAPES[found.group()], name)


def values(value: Any, schema: Mapping[str, Any]) -> Any:
    """A value as rules see it: properties escaped, and numbers that may have fractions as such."""
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        rest = schema.get("additionalProperties")
        other = rest if isinstance(rest, dict) else {}
        return {
            escaped(key) if key in properties else key: values(item, properties.get(key, other))
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [values(item, schema.get("items", {})) for item in value]
    if schema.get("type") == "number" and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return value


def judged(rule: Mapping[str, Any], value: Any) -> Verdict:
    """A rule's verdict over a value of `values`. Raises MissingCelError."""
    text = rule["rule"]
    if re.search(r"\boldSelf\b", text):
        # Of changes only; with optionalOldSelf of new objects too, and then of what nobody can know here.
        return Verdict(unchecked="asks for the object before") if rule.get("optionalOldSelf") else Verdict()
    program = _compiled(text)
    if isinstance(program, str):
        return Verdict(unchecked=program)
    try:
        holds = program.eval(data={"self": value}).value()
    except RuntimeError as error:
        return Verdict(broken=f"{_said(rule)} ({_first_line(error)})")
    if holds is True:
        return Verdict()
    # An error is a value too in CEL, and no rule holds by one.
    return Verdict(broken=_said(rule) if holds is False else f"{_said(rule)} ({holds})")


def _said(rule: Mapping[str, Any]) -> str:
    return str(rule.get("message") or f"failed rule: {rule['rule']}")


@cache
def _compiled(text: str) -> Any:
    """A program, or why there is none."""
    try:
        return _environment().compile(text)
    except RuntimeError as error:
        return _first_line(error)


@cache
def _environment() -> Any:
    try:
        from cel_expr_python import cel  # noqa: PLC0415
        from cel_expr_python.ext import ext_math, ext_optional, ext_strings  # noqa: PLC0415
    except ImportError as error:
        raise MissingCelError("rules in CEL need a library: pip install 'nearserve[crds]'") from error
    extensions: Sequence[Any] = [ext_strings.ExtStrings(), ext_optional.ExtOptional(), ext_math.ExtMath()]
    return cel.NewEnv(variables={"self": cel.Type.DYN}, extensions=extensions)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
