"""publish.toml: how a store is signed, agreed on with other hosts, and how much of it is kept (docs/publish.md).

builder = "https://nightly.example.org/edge"

[keep]
newest = 14

[signature]
key = "nightly_ed25519"
allowed_signers = "allowed_signers"
identity = "nightly@example.org"

[etcd]
endpoints = ["https://10.0.0.1:2379"]
key = "/nearserve/edge"
"""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from pydantic import Field

from placement.publish.etcd import Etcd
from placement.publish.provenance import Builder
from placement.publish.retention import Retention
from placement.publish.signature import Signer, Trust
from placement.publish.store import Store
from probes.document import DocumentError, Part, read_document
from probes.reading import BadRecord


class Keep(Part):
    """What stays besides the current generation and the one before it."""

    newest: int = Field(default=14, ge=1)
    days: float = Field(default=0.0, ge=0)
    grace_minutes: float = Field(default=60.0, ge=0)


class Signature(Part):
    """`key` signs what is published; `allowed_signers` and `identity` say what is believed, less `revoked`."""

    key: str = ""
    allowed_signers: str = ""
    identity: str = ""
    revoked: str = ""


class EtcdConfig(Part):
    """Where several hosts agree. `password_file` holds the password of `user` and nothing else."""

    endpoints: tuple[str, ...] = Field(min_length=1)
    key: str = Field(min_length=1)
    ca: str = ""
    certificate: str = ""
    certificate_key: str = ""
    user: str = ""
    password_file: str = ""
    timeout_s: float = Field(default=5.0, gt=0)


class Document(Part):
    """The file."""

    builder: str = "urn:nearserve:builder"
    keep: Keep = Keep()
    signature: Signature = Signature()
    etcd: EtcdConfig | None = None


@dataclass(frozen=True)
class PublishConfig:
    """What the file says, its paths resolved."""

    builder: Builder = Builder()  # noqa: RUF009  # frozen
    retention: Retention = Retention()  # noqa: RUF009
    signer: Signer | None = None
    trust: Trust | None = None
    etcd: Etcd | None = None

    def store(self, root: Path) -> Store:
        """A store that keeps to it."""
        return Store(root, signer=self.signer, trust=self.trust, etcd=self.etcd, builder=self.builder)


def read_publish_config(path: Path) -> PublishConfig:
    """The configuration of a file, whose paths are relative to it; raises DocumentError with all that is wrong."""
    document = read_document(Document, path)
    faults = _faults(document, path)
    if faults:
        raise DocumentError(faults)
    said, keep = document.signature, document.keep
    return PublishConfig(
        Builder(document.builder),
        Retention(keep.newest, keep.days, timedelta(minutes=keep.grace_minutes)),
        Signer(path.parent / said.key) if said.key else None,
        Trust(path.parent / said.allowed_signers, said.identity, _path(path, said.revoked)) if said.identity else None,
        None if document.etcd is None else _etcd(document.etcd, path),
    )


def _faults(document: Document, path: Path) -> list[BadRecord]:
    faults = []
    said, etcd = document.signature, document.etcd
    if bool(said.allowed_signers) != bool(said.identity):
        key = "identity" if said.allowed_signers else "allowed_signers"
        faults.append(_fault(path, f"signature.{key}", "", "is missing", "give both, or neither"))
    files = {f"signature.{key}": getattr(said, key) for key in ("key", "allowed_signers", "revoked")}
    if etcd is not None:
        names = ("ca", "certificate", "certificate_key", "password_file")
        files |= {f"etcd.{key}": getattr(etcd, key) for key in names}
        faults += [
            _fault(path, f"etcd.endpoints.{j}", url, "is no address", "write http://HOST:PORT or https://HOST:PORT")
            for j, url in enumerate(etcd.endpoints)
            if not url.startswith(("http://", "https://"))
        ]
        if etcd.user and not etcd.password_file:
            faults.append(_fault(path, "etcd.password_file", "", "is missing", "name the file with the password"))
    faults += [
        _fault(path, key, name, "there is no such file", "name one that is there, relative to this file")
        for key, name in files.items()
        if name and not (path.parent / name).is_file()
    ]
    return faults


def _etcd(said: EtcdConfig, path: Path) -> Etcd:
    password = _path(path, said.password_file)
    return Etcd(
        said.endpoints,
        said.key,
        _path(path, said.ca),
        _path(path, said.certificate),
        _path(path, said.certificate_key),
        said.user,
        "" if password is None else password.read_text().rstrip("\n"),
        said.timeout_s,
    )


def _path(file: Path, name: str) -> Path | None:
    return file.parent / name if name else None


def _fault(path: Path, key: str, value: str, why: str, mend: str) -> BadRecord:
    return BadRecord(str(path), 0, key, value, why, mend)
