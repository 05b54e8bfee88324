"""One key in etcd, read and replaced only by who has seen what it holds: compare-and-swap over the JSON gateway.

Of etcd's Python clients none is both kept up and small, and all of them bring gRPC; the gateway is a part of every
etcd since 3.4 and asks for nothing but HTTP and JSON.
"""

import base64
import http.client
import json
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from placement.publish.errors import SigningError, StoreError, UnansweredError


class EtcdError(StoreError):
    """etcd answered, and would not do it."""


@dataclass(frozen=True)
class Held:
    """What the key holds; revision 0 and None: it does not exist."""

    revision: int
    value: bytes | None


@dataclass(frozen=True)
class Etcd:
    """Where the key is. `endpoints` are http:// or https:// addresses of members; they are asked in their order."""

    endpoints: tuple[str, ...]
    key: str
    ca: Path | None = None
    certificate: Path | None = None
    certificate_key: Path | None = None
    user: str = ""
    password: str = ""
    timeout_s: float = 5.0

    def read(self) -> Held:
        """What the key holds now, as the majority of members has it. Raises UnansweredError, EtcdError."""
        return _held(self._ask("/v3/kv/range", {"key": _coded(self.key.encode())}).get("kvs", []))

    def swap(self, seen: int, value: bytes) -> bool:
        """Has the key hold `value` if nothing happened to it since revision `seen`; whether it does.

        Raises UnansweredError: nobody answered, so that it may hold it or not.
        """
        key = _coded(self.key.encode())
        request = {
            "compare": [{"key": key, "target": "MOD", "result": "EQUAL", "mod_revision": str(seen)}],
            "success": [{"requestPut": {"key": key, "value": _coded(value)}}],
        }
        return bool(self._ask("/v3/kv/txn", request).get("succeeded", False))

    def _ask(self, path: str, request: dict[str, Any]) -> dict[str, Any]:
        """The first answer of an endpoint. A swap asked twice is done at most once, by its revision."""
        silent = []
        for endpoint in self.endpoints:
            try:
                headers = {"Authorization": self._token(endpoint)} if self.user else {}
                return self._asked(endpoint, path, request, headers)
            except (OSError, http.client.HTTPException) as error:
                silent.append(f"{endpoint} ({error or type(error).__name__})")
        raise UnansweredError(f"etcd did not answer: {', '.join(silent)}; nothing was switched")

    def _token(self, endpoint: str) -> str:
        return str(
            self._asked(endpoint, "/v3/auth/authenticate", {"name": self.user, "password": self.password}, {})["token"]
        )

    def _asked(self, endpoint: str, path: str, request: dict[str, Any], headers: dict[str, str]) -> dict[str, Any]:
        connection = self._connection(endpoint)
        try:
            connection.request("POST", path, json.dumps(request), {"Content-Type": "application/json", **headers})
            answer = connection.getresponse()
            body = answer.read()
        finally:
            connection.close()
        if answer.status >= 500:
            raise http.client.HTTPException(f"{answer.status} {_shown(body)}")  # as a member without a leader
        if answer.status != 200:
            raise EtcdError(f"{endpoint}{path}: {answer.status} {_shown(body)}")
        try:
            found = json.loads(body)
        except ValueError as error:
            raise EtcdError(f"{endpoint}{path}: is no etcd (it answered {_shown(body)!r})") from error
        return found if isinstance(found, dict) else {}

    def _connection(self, endpoint: str) -> http.client.HTTPConnection:
        parts = urlsplit(endpoint)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise EtcdError(f"{endpoint}: write it as http://HOST:PORT or https://HOST:PORT")
        port = parts.port or 2379
        if parts.scheme == "http":
            return http.client.HTTPConnection(parts.hostname, port, timeout=self.timeout_s)
        return http.client.HTTPSConnection(parts.hostname, port, timeout=self.timeout_s, context=self._tls())

    def _tls(self) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=None if self.ca is None else str(self.ca))
            if self.certificate is not None:
                context.load_cert_chain(self.certificate, self.certificate_key)
        except OSError as error:
            files = ", ".join(str(path) for path in (self.ca, self.certificate, self.certificate_key) if path)
            raise SigningError(f"{files}: cannot be used for TLS ({error.strerror or error})") from error
        return context


def _held(pairs: list[dict[str, str]]) -> Held:
    if not pairs:
        return Held(0, None)
    return Held(int(pairs[0]["mod_revision"]), base64.b64decode(pairs[0].get("value", "")))


def _coded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _shown(body: bytes) -> str:
    return body[:200].decode(errors="replace").strip()
