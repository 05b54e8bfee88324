"""Feeds against the CRDs of the clusters that will read them (`--crd-dir`): the user's files, of which none are ours.

    crds = read_crds(Path("crds"))          # kubectl get crds -o json, or the YAML of a release
    report = check(files, crds)
    report.faults                           # empty: an API server takes them as they are

The schemas are checked as an API server does, and stricter where it is silent: unknown fields are faults.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from placement.feeds.feed import FeedError, Files
from placement.feeds.kubernetes.manifests import Manifest
from placement.feeds.kubernetes.structural import Fault, Structural

Kind: TypeAlias = tuple[str, str]
"""apiVersion and kind."""
_ENDINGS = (".json", ".yaml", ".yml")
_SHOWN = 20


OWN_GROUPS = re.compile(
    r"[a-z]*|((rbac\.)?authorization|(flowcontrol|internal)\.apiserver|admissionregistration|apiextensions"
    r"|apiregistration|authentication|certificates|coordination|discovery|events|networking|node|resource|scheduling"
    r"|storage|storagemigration)\.k8s\.io"
)
"""API groups that are Kubernetes' own, and have no CRDs."""


class CrdError(FeedError):
    """The folder holds no CRDs that can be read; every reason, a line each."""


class CrdFaultsError(FeedError):
    """Clusters with these CRDs would not take the files as they are; every fault, a line each."""


class Wrong(NamedTuple):
    """A fault of an object in a file."""

    file: str
    item: str
    fault: Fault

    def __str__(self) -> str:
        return f"{self.file}: {self.item}: {self.fault.path or 'the object'}: {self.fault.message}"


@dataclass(frozen=True)
class Crds:
    """Schemas by kind, and which versions of a kind there are."""

    schemas: Mapping[Kind, Structural]
    versions: Mapping[Kind, tuple[str, ...]]  # by (group, kind)


@dataclass(frozen=True)
class CrdReport:
    """What came of it. `checked` and `own` count objects by "apiVersion Kind"; `own` are Kubernetes' own, without CRDs.

    `unchecked` are rules that could not be asked, each with the reason.
    """

    checked: Mapping[str, int]
    own: Mapping[str, int]
    faults: tuple[Wrong, ...]
    unchecked: tuple[str, ...]


def read_crds(folder: Path) -> Crds:
    """The CRDs in a folder and below it, JSON or YAML, alone, in a List, or several a file; other objects are left.

    Raises CrdError where nothing is one, and where a file cannot be read.
    """
    schemas: dict[Kind, Structural] = {}
    versions: dict[Kind, tuple[str, ...]] = {}
    reasons: list[str] = []
    for path in sorted(p for p in folder.rglob("*") if p.suffix in _ENDINGS and p.is_file()):
        try:
            for crd in _crds(path):
                _add(crd["spec"], schemas, versions)
        except (OSError, ValueError, KeyError, TypeError) as error:
            reasons.append(f"{path}: {error!r}" if isinstance(error, KeyError | TypeError) else f"{path}: {error}")
    if not schemas and not reasons:
        reasons.append(f"{folder}: holds no CustomResourceDefinition; put the CRDs of your clusters there")
    if reasons:
        raise CrdError(tuple(reasons))
    return Crds(schemas, versions)


def _add(spec: Any, schemas: dict[Kind, Structural], versions: dict[Kind, tuple[str, ...]]) -> None:
    group, kind = spec["group"], spec["names"]["kind"]
    served = [version for version in spec["versions"] if version["served"]]
    versions[group, kind] = tuple(version["name"] for version in served)
    for version in served:
        schema = version["schema"]["openAPIV3Schema"]
        schemas[f"{group}/{version['name']}", kind] = Structural(schema, namespaced=spec["scope"] == "Namespaced")


def _crds(path: Path) -> Iterator[Any]:
    for document in _documents(path):
        found = document.get("items", [document]) if isinstance(document, dict) else []
        yield from (item for item in found if item.get("kind") == "CustomResourceDefinition")


def _documents(path: Path) -> Iterator[Any]:
    if path.suffix == ".json":
        yield json.loads(path.read_bytes())
        return
    try:
        import yaml  # noqa: PLC0415
    except ImportError as error:
        raise ValueError("YAML needs a library: pip install 'nearserve[crds]', or give JSON") from error
    try:
        yield from yaml.load_all(path.read_bytes(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as error:
        raise ValueError(f"is no YAML: {' '.join(str(error).split())}") from error


def check(files: Files, crds: Crds) -> CrdReport:
    """Every object in the JSON files against the CRD of its kind; files without such objects (Helm's values) are left.

    Raises placement.feeds.kubernetes.cel.MissingCelError where rules in CEL cannot be asked for want of a library.
    """
    checked: Counter[str] = Counter()
    own: Counter[str] = Counter()
    faults: list[Wrong] = []
    unchecked: set[str] = set()
    strange: set[Kind] = set()
    for path in sorted(files):
        seen: set[tuple[str, ...]] = set()
        for item in _objects(files[path]):
            version, kind, metadata = item["apiVersion"], item["kind"], item.get("metadata") or {}
            name = f"{kind} {metadata.get('name')}"
            identity = (version.rpartition("/")[0], kind, str(metadata.get("namespace")), str(metadata.get("name")))
            if identity in seen:
                faults.append(Wrong(path, name, Fault("metadata.name", "stands twice in this file")))
            seen.add(identity)
            schema = crds.schemas.get((version, kind))
            if schema is None:
                if OWN_GROUPS.fullmatch(version.rpartition("/")[0]):
                    own[f"{version} {kind}"] += 1
                elif (version, kind) not in strange:
                    faults.append(Wrong(path, name, _unknown(crds, version, kind)))
                    strange.add((version, kind))
                continue
            checked[f"{version} {kind}"] += 1
            found = schema.found(item)
            faults += [Wrong(path, name, fault) for fault in found.faults]
            unchecked.update(found.unchecked)
    return CrdReport(dict(sorted(checked.items())), dict(sorted(own.items())), tuple(faults), tuple(sorted(unchecked)))


def _objects(text: bytes) -> Iterator[Manifest]:
    try:
        document = json.loads(text)
    except ValueError:
        return
    found = document.get("items", [document]) if isinstance(document, dict) else []
    if isinstance(found, list):
        yield from (item for item in found if isinstance(item, dict) and {"apiVersion", "kind"} <= item.keys())


def _unknown(crds: Crds, version: str, kind: str) -> Fault:
    """Why there is no schema for a version of a kind."""
    group, _, name = version.rpartition("/")
    served = crds.versions.get((group, kind))
    if served is None:
        return Fault("kind", f"there is no CRD of {group}'s {kind}; add that of your clusters to the folder")
    return Fault("apiVersion", f"{name} is not served; {group} serves {', '.join(served)}")


def check_folder(folder: Path, crds: Path) -> CrdReport:
    """All JSON files below a folder against the CRDs in another; raises CrdError and CrdFaultsError."""
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*.json"))}
    report = check(files, read_crds(crds))
    if report.faults:
        more = [f"and {len(report.faults) - _SHOWN} more"] if len(report.faults) > _SHOWN else []
        raise CrdFaultsError((*map(str, report.faults[:_SHOWN]), *more))
    return report
