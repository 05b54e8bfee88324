"""Who sent a request: the names in a verified certificate, the owner of a token, or both.

The file of tokens holds hashes only. A token is 32 random bytes, so one SHA-256 of it is enough.

    [agents.fra1]
    sha256 = ["5e88..."]            # several while a token is being replaced
    expires = 2026-12-01T00:00:00Z  # may be left out
"""

import hashlib
import hmac
import secrets
import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import Field

from probes.collector.config import AgentName, Authentication
from probes.document import DocumentError, Part, read_document
from probes.reading import BadRecord

_BEARER: Final = "Bearer "
_LONGEST_TOKEN: Final = 200


class TokenEntry(Part):
    """One agent's tokens: their SHA-256 in hexadecimal, and when they end."""

    sha256: Annotated[tuple[Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")], ...], Field(min_length=1)]
    expires: datetime | None = None


class TokenFile(Part):
    """The file of tokens."""

    agents: dict[AgentName, TokenEntry] = {}  # noqa: RUF012  pydantic copies it


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a request is nobody's: a short code for the counter, and what the sender is told."""

    code: str
    message: str


class Gate:
    """Tells the sender of a request; built anew when the files change."""

    def __init__(self, authentication: Authentication, tokens: TokenFile) -> None:
        self._require = authentication.require
        self._denied = frozenset(authentication.denied)
        self._tokens = [
            (name, bytes.fromhex(digest), entry.expires)
            for name, entry in tokens.agents.items()
            for digest in entry.sha256
        ]

    @property
    def named(self) -> frozenset[str]:
        """Agents that have a token."""
        return frozenset(name for name, _, _ in self._tokens)

    def admit(self, certificate: Mapping[str, Any] | None, authorization: str | None) -> frozenset[str] | Refused:
        """The names that the sender may use; `certificate` as by SSLSocket.getpeercert, already verified."""
        by_certificate = self._certified(certificate)
        by_token = self._owner(authorization)
        proofs: list[frozenset[str] | Refused] = []
        if self._require == "either":
            shown = [proof for proof in (by_certificate, by_token) if not isinstance(proof, Refused)]
            proofs = [*shown] or [by_certificate if authorization is None else by_token]
        else:
            proofs += [by_certificate] if self._require in ("certificate", "both") else []
            proofs += [by_token] if self._require in ("token", "both") else []
        for proof in proofs:
            if isinstance(proof, Refused):
                return proof
        names = frozenset.intersection(*(proof for proof in proofs if not isinstance(proof, Refused)))
        if not names:
            return Refused("mismatch", "the certificate and the token are not of the same agent")
        if names & self._denied:
            return Refused("denied", "this agent is on the list of those denied")
        return names

    @staticmethod
    def _certified(certificate: Mapping[str, Any] | None) -> frozenset[str] | Refused:
        if certificate and ssl.cert_time_to_seconds(certificate["notAfter"]) <= time.time():
            return Refused("expired_certificate", "the certificate ended while this connection stood")
        names = certificate_names(certificate)
        return names or Refused("no_certificate", "show a certificate of this collector's CA that names the agent")

    def _owner(self, authorization: str | None) -> frozenset[str] | Refused:
        if authorization is None or not authorization.startswith(_BEARER):
            return Refused("no_token", "send Authorization: Bearer TOKEN")
        digest = token_digest(authorization[len(_BEARER) :][:_LONGEST_TOKEN])
        found: Refused | frozenset[str] = Refused("unknown_token", "this token is not known")
        now = datetime.now(UTC)
        for name, known, expires in self._tokens:  # all of them, whatever matches: the time tells nothing
            if hmac.compare_digest(known, digest):
                ended = expires is not None and expires <= now
                found = Refused("expired_token", f"the token ended at {expires}") if ended else frozenset((name,))
        return found


def certificate_names(certificate: Mapping[str, Any] | None) -> frozenset[str]:
    """The DNS names in a certificate's SAN; where it has none, its common name."""
    if not certificate:
        return frozenset()
    alternative: Sequence[tuple[str, str]] = certificate.get("subjectAltName", ())
    names = frozenset(value for kind, value in alternative if kind == "DNS")
    if names or alternative:
        return names
    return frozenset(v for part in certificate.get("subject", ()) for key, v in part if key == "commonName")


def token_digest(token: str) -> bytes:
    """What the file of tokens holds of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def new_token() -> str:
    """A token for an agent: 256 random bits."""
    return secrets.token_urlsafe(32)


def load_tokens(path: str | None) -> TokenFile:
    """The file of tokens, empty for None; raises DocumentError with everything that is wrong."""
    if path is None:
        return TokenFile()
    tokens = read_document(TokenFile, Path(path))
    naive = [name for name, entry in tokens.agents.items() if entry.expires and entry.expires.tzinfo is None]
    if naive:
        mend = "write it with a zone, such as 2026-12-01T00:00:00Z"
        raise DocumentError([BadRecord(path, 0, f"agents.{name}.expires", "", "has no zone", mend) for name in naive])
    return tokens
