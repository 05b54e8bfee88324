"""Objects against the schema of their CRD, in the order of an API server: defaults, structure, values, rules in CEL.

An API server drops fields that the schema does not know; here they are faults, since what is dropped is not said.
"""

import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from functools import cached_property
from typing import Any, NamedTuple

from jsonschema import Draft4Validator, FormatChecker

from placement.feeds.kubernetes import cel
from placement.feeds.kubernetes.manifests import Manifest

ROOT = frozenset({"apiVersion", "kind", "metadata"})
METADATA = {"name", "generateName", "namespace", "labels", "annotations", "finalizers", "ownerReferences"}
"""What a manifest may say; the rest of metadata is the server's."""
MOST_ANNOTATIONS = 262_144
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_QUALIFIED = re.compile(
    r"([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
)
_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")


class Fault(NamedTuple):
    """What is wrong with an object, and where in it: spec.rules[0].backendRefs, say."""

    path: str
    message: str


class Found(NamedTuple):
    """All that is wrong with an object, and the rules that nobody could ask."""

    faults: tuple[Fault, ...]
    unchecked: tuple[str, ...]


class _Rule(NamedTuple):
    path: str
    rule: Mapping[str, Any]
    value: Any
    schema: Mapping[str, Any]


class Structural:
    """The schema of one version of a kind."""

    def __init__(self, schema: Mapping[str, Any], *, namespaced: bool) -> None:
        self._schema = schema
        self._namespaced = namespaced

    @cached_property
    def _validator(self) -> Draft4Validator:
        return Draft4Validator(translated(self._schema), format_checker=FORMATS)

    def found(self, item: Manifest) -> Found:
        """What is wrong with an object. Rules are asked where nothing else is wrong."""
        value = deepcopy(item)
        rules: list[_Rule] = []
        faults = [*metadata_faults(value.get("metadata"), namespaced=self._namespaced, path="metadata")]
        faults += _structure(value, self._schema, "", rules, embedded=True)
        faults += [Fault(_path(error.absolute_path), error.message) for error in self._validator.iter_errors(value)]
        unchecked: list[str] = []
        if not faults:
            for one in rules:
                verdict = cel.judged(one.rule, cel.values(one.value, one.schema))
                if verdict.broken:
                    faults.append(Fault(one.path, verdict.broken))
                if verdict.unchecked:
                    unchecked.append(f"{one.rule['rule']} ({verdict.unchecked})")
        return Found(tuple(sorted(set(faults))), tuple(sorted(set(unchecked))))


def _structure(
    value: Any, schema: Mapping[str, Any], path: str, rules: list[_Rule], *, embedded: bool = False
) -> Iterator[Fault]:
    """Faults of fields and lists, depth first; fills in defaults and collects the rules as it goes."""
    if isinstance(value, dict):
        yield from _fields(value, schema, path, rules, embedded=embedded)
    elif isinstance(value, list):
        items = schema.get("items", {})
        for j, item in enumerate(value):
            yield from _structure(item, items, f"{path}[{j}]", rules, embedded=_embeds(items))
        yield from _twice(value, schema, path)
    if value is not None:
        rules += [_Rule(path, rule, value, schema) for rule in schema.get("x-kubernetes-validations", ())]


def _fields(
    value: dict[str, Any], schema: Mapping[str, Any], path: str, rules: list[_Rule], *, embedded: bool
) -> Iterator[Fault]:
    properties = schema.get("properties", {})
    for name, of_field in properties.items():
        absent = name not in value or (value[name] is None and not of_field.get("nullable"))
        if "default" in of_field and absent:
            value[name] = deepcopy(of_field["default"])
    rest = schema.get("additionalProperties", schema.get("x-kubernetes-preserve-unknown-fields", False))
    for name, item in value.items():
        where = f"{path}.{name}" if path else name
        if embedded and name in ROOT:
            if path and name == "metadata":
                yield from metadata_faults(item, namespaced=True, path=where)
        elif name in properties:
            yield from _structure(item, properties[name], where, rules, embedded=_embeds(properties[name]))
        elif isinstance(rest, dict):
            yield from _structure(item, rest, where, rules, embedded=_embeds(rest))
        elif not rest:
            near = ", ".join(sorted(properties)) or "nothing"
            yield Fault(where, f"is no field here, and would be dropped; the schema knows {near}")


def _embeds(schema: Mapping[str, Any]) -> bool:
    return bool(schema.get("x-kubernetes-embedded-resource"))


def _twice(value: list[Any], schema: Mapping[str, Any], path: str) -> Iterator[Fault]:
    """Items that stand twice in a list that is a set, or a map by some keys."""
    kind = schema.get("x-kubernetes-list-type")
    seen: list[Any] = []
    for j, item in enumerate(value):
        if kind == "map" and isinstance(item, dict):
            key: Any = {name: item.get(name) for name in schema["x-kubernetes-list-map-keys"]}
        elif kind == "set":
            key = item
        else:
            continue
        if key in seen:
            yield Fault(f"{path}[{j}]", f"{key} stands in this list twice")
        seen.append(key)


def metadata_faults(metadata: Any, *, namespaced: bool, path: str) -> Iterator[Fault]:
    """What an API server would not take as an object's metadata."""
    if not isinstance(metadata, dict):
        yield Fault(path, "is missing")
        return
    for name in sorted(metadata.keys() - METADATA):
        yield Fault(f"{path}.{name}", "is nothing that a manifest says of its metadata")
    name = metadata.get("name", "")
    if not (isinstance(name, str) and len(name) <= 253 and _SUBDOMAIN.fullmatch(name)):
        yield Fault(f"{path}.name", f"{name!r} is no DNS subdomain")
    if not namespaced and "namespace" in metadata:
        yield Fault(f"{path}.namespace", "the kind belongs to the cluster, and to no namespace")
    for key, value in metadata.get("labels", {}).items():
        if not (_QUALIFIED.fullmatch(key) and isinstance(value, str) and _VALUE.fullmatch(value)):
            yield Fault(f"{path}.labels", f"{key}={value!r} is no label")
    annotations = metadata.get("annotations", {})
    wrong = [key for key, value in annotations.items() if not (_QUALIFIED.fullmatch(key) and isinstance(value, str))]
    for key in wrong:
        yield Fault(f"{path}.annotations", f"{key} is no annotation's name, or its value no text")
    size = sum(len(key.encode()) + len(str(value).encode()) for key, value in annotations.items())
    if size > MOST_ANNOTATIONS:
        yield Fault(f"{path}.annotations", f"are {size} bytes; {MOST_ANNOTATIONS} is the most")


def translated(schema: Any) -> Any:
    """A CRD's schema as JSON Schema (draft 4, whose exclusive limits are booleans too)."""
    if isinstance(schema, list):
        return [translated(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    made = {
        key: {name: translated(item) for name, item in value.items()} if key == "properties" else translated(value)
        for key, value in schema.items()
        if not key.startswith("x-") and key not in ("default", "example", "description", "enum", "nullable")
    }
    if "enum" in schema:
        made["enum"] = [*schema["enum"], *([None] if schema.get("nullable") else [])]
    if schema.get("x-kubernetes-int-or-string"):
        made["type"] = ["integer", "string"]
    if schema.get("nullable") and "type" in made:
        made["type"] = [*([made["type"]] if isinstance(made["type"], str) else made["type"]), "null"]
    return made


def _path(steps: Any) -> str:
    found = ""
    for step in steps:
        found += f"[{step}]" if isinstance(step, int) else f".{step}" if found else str(step)
    return found


FORMATS = FormatChecker(formats=("ipv4", "ipv6", "date", "email", "regex"))
"""Formats that are checked: these as jsonschema knows them, times, and the sizes of whole numbers."""
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})")


@FORMATS.checks("date-time")
def _date_time(value: object) -> bool:
    return not isinstance(value, str) or bool(_TIME.fullmatch(value))


@FORMATS.checks("int32")
def _int32(value: object) -> bool:
    return not isinstance(value, int) or -(2**31) <= value < 2**31


@FORMATS.checks("int64")
def _int64(value: object) -> bool:
    return not isinstance(value, int) or -(2**63) <= value < 2**63
