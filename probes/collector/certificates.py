"""A private CA, the server's certificate and the agents', so that a person can begin in a minute.

Keys are P-256, files with secrets are readable by their owner only. A CA that stands in the folder is used again, so
agents can be added and certificates renewed with the same call.
"""

import ipaddress
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from probes.collector.identity import new_token, token_digest
from probes.transport import AGENT_NAME

CA_DAYS: Final = 730
DAYS: Final = 30
_SLACK: Final = timedelta(minutes=5)  # a clock that is a little behind takes a new certificate all the same


@dataclass(frozen=True, slots=True)
class Made:
    """A file that was written, what it is for, and when it ends (None: never)."""

    path: Path
    purpose: str
    expires: datetime | None


@dataclass(frozen=True)
class Authority:
    """A CA: its certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def make(
    folder: Path, hosts: Sequence[str], agents: Sequence[str], *, days: int = DAYS, tokens: bool = False
) -> list[Made]:
    """Writes CA, server and agent certificates below `folder`, and with `tokens` a token for each agent.

    Raises ValueError for a name that no agent can have, FileExistsError for a token file that it would replace.
    """
    wrong = [name for name in agents if not AGENT_NAME.fullmatch(name)]
    if wrong:
        raise ValueError(f"no name of an agent: {', '.join(wrong)}; use letters, digits, . _ -, at most 63")
    folder.mkdir(parents=True, exist_ok=True)
    made: list[Made] = []
    authority = _authority(folder, made)
    if hosts:
        made += _issue(authority, folder / "server", hosts[0], _alternative(hosts), days, server=True)
    for name in agents:
        stem = folder / "agents" / name
        stem.parent.mkdir(exist_ok=True)
        made += _issue(authority, stem, name, [x509.DNSName(name)], days, server=False)
    if tokens:
        made += make_tokens(folder, agents, days)
    return made


def make_tokens(folder: Path, agents: Sequence[str], days: int) -> list[Made]:
    """A token for each agent, and `tokens.toml` with their hashes; raises FileExistsError when that stands already."""
    expires = (datetime.now(UTC) + timedelta(days=days)).replace(microsecond=0)
    path = folder / "tokens.toml"
    made, lines = [Made(path, "hashes of the tokens, for the collector", expires)], []
    secrets = {name: new_token() for name in agents}
    for name, token in secrets.items():
        digest = token_digest(token).hex()
        lines.append(f'[agents."{name}"]\nsha256 = ["{digest}"]\nexpires = {expires.isoformat()}\n')
    with path.open("x", encoding="utf-8") as file:
        file.write("\n".join(lines))
    (folder / "agents").mkdir(exist_ok=True)
    for name, token in secrets.items():
        _write(folder / "agents" / f"{name}.token", token.encode() + b"\n", secret=True)
        made.append(Made(folder / "agents" / f"{name}.token", f"token of agent {name}", expires))
    return made


def expiry(path: Path | str) -> datetime:
    """When the first certificate of a PEM file ends; raises OSError or ValueError."""
    return x509.load_pem_x509_certificate(Path(path).read_bytes()).not_valid_after_utc


def _authority(folder: Path, made: list[Made]) -> Authority:
    certificate_path, key_path = folder / "ca.pem", folder / "ca.key"
    if key_path.exists():
        key = serialization.load_pem_private_key(key_path.read_bytes(), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ValueError(f"{key_path} is no elliptic-curve key; make the CA in another folder")
        return Authority(x509.load_pem_x509_certificate(certificate_path.read_bytes()), key)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "nearserve probes CA")])
    usage = x509.KeyUsage(
        digital_signature=False, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    certificate = (
        _builder(name, name, key.public_key(), CA_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    _write_pair(folder / "ca", certificate, key)
    made.append(Made(certificate_path, "CA: copy it to every agent", certificate.not_valid_after_utc))
    made.append(Made(key_path, "key of the CA: keep it away from the collector", None))
    return Authority(certificate, key)


def _issue(
    authority: Authority, stem: Path, name: str, alternative: Sequence[x509.GeneralName], days: int, *, server: bool
) -> list[Made]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
    purpose = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
    issuer = authority.key.public_key()
    certificate = (
        _builder(subject, authority.certificate.subject, key.public_key(), days)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(alternative), critical=False)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer), critical=False)
        .sign(authority.key, hashes.SHA256())
    )
    _write_pair(stem, certificate, key)
    what = "the server" if server else f"agent {name}"
    ends = certificate.not_valid_after_utc
    return [
        Made(_suffixed(stem, ".pem"), f"certificate of {what}", ends),
        Made(_suffixed(stem, ".key"), f"key of {what}", None),
    ]


def _builder(
    subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey, days: int
) -> x509.CertificateBuilder:
    now = datetime.now(UTC).replace(microsecond=0)
    return x509.CertificateBuilder(
        issuer_name=issuer,
        subject_name=subject,
        public_key=public,
        serial_number=x509.random_serial_number(),
        not_valid_before=now - _SLACK,
        not_valid_after=now + timedelta(days=days),
    )


def _alternative(hosts: Sequence[str]) -> list[x509.GeneralName]:
    names: list[x509.GeneralName] = []
    for host in hosts:
        try:
            names.append(x509.IPAddress(ipaddress.ip_address(host)))
        except ValueError:
            names.append(x509.DNSName(host))
    return names


def _write_pair(stem: Path, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    _write(_suffixed(stem, ".key"), private, secret=True)
    _write(_suffixed(stem, ".pem"), certificate.public_bytes(pem), secret=False)


def _suffixed(stem: Path, suffix: str) -> Path:
    return stem.with_name(stem.name + suffix)  # with_suffix would take the end of "fra1.example" away


def _write(path: Path, content: bytes, *, secret: bool) -> None:
    """Whole or not at all; a secret is never readable by others, not even for a moment."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if secret else 0o644)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    temporary.replace(path)
