"""Shared keys in a file: one a line, so that a new one can be brought in while the old one is still in use."""

from pathlib import Path
from typing import Final

SHORTEST: Final = 16
"""Octets of the shortest key that is taken: as many as the HMAC of STAMP has."""


class KeyFileError(ValueError):
    """A key file that cannot be used; says which file, which line and the mend."""


def read_keys(path: Path) -> tuple[bytes, ...]:
    """The keys in a file, in its order, at least one; the first is the one to seal with.

    A key is a line's text as it stands, without the white space around it; empty lines and those that begin with #
    are passed over. Raises KeyFileError.
    """
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise KeyFileError(f"{path}: cannot be read ({error.strerror}); may this user read it?") from error
    keys = []
    for number, line in enumerate(lines, start=1):
        key = line.strip()
        if not key or key.startswith(b"#"):
            continue
        if len(key) < SHORTEST:
            raise KeyFileError(f"{path}:{number}: a key of {len(key)} octets; use at least {SHORTEST}")
        keys.append(key)
    if not keys:
        raise KeyFileError(f"{path}: holds no key; write one a line, for instance of `openssl rand -hex 32`")
    return tuple(keys)
