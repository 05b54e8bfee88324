"""Secrets in files: shared keys, one a line so that a new one can come in while the old one is in use; a token."""

from pathlib import Path
from typing import Final

SHORTEST: Final = 16
"""Octets of the shortest key that is taken: as many as the HMAC of STAMP has."""


class KeyFileError(ValueError):
    """A file of keys or of a token that cannot be used; says which file, which line and the mend."""


def read_keys(path: Path) -> tuple[bytes, ...]:
    """The keys in a file, in its order, at least one; the first is the one to seal with.

    A key is a line's text as it stands, without the white space around it; empty lines and those that begin with #
    are passed over. Raises KeyFileError.
    """
    keys = []
    for number, line in enumerate(_read(path).splitlines(), start=1):
        key = line.strip()
        if not key or key.startswith(b"#"):
            continue
        if len(key) < SHORTEST:
            raise KeyFileError(f"{path}:{number}: a key of {len(key)} octets; use at least {SHORTEST}")
        keys.append(key)
    if not keys:
        raise KeyFileError(f"{path}: holds no key; write one a line, for instance of `openssl rand -hex 32`")
    return tuple(keys)


def read_token(path: Path) -> str:
    """The token in a file, without the white space around it. Raises KeyFileError, also where there is none: an empty
    token would let everybody in."""
    token = _read(path).strip()
    if not token or not token.isascii() or any(octet <= 0x20 or octet == 0x7F for octet in token):
        raise KeyFileError(f"{path}: holds no token; write one line of ASCII, for instance of `openssl rand -hex 32`")
    return token.decode("ascii")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise KeyFileError(f"{path}: cannot be read ({error.strerror}); may this user read it?") from error
