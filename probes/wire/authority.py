"""Whose certificates are trusted: an authority's file in PEM, or the system's."""

import ssl
from pathlib import Path

from probes.wire.keys import KeyFileError


def trusting(authority: Path | None) -> ssl.SSLContext:
    """TLS for clients that trust the certificates of a file alone, or with None those of the system.

    Raises KeyFileError where the file cannot be read or holds no certificate.
    """
    try:
        return ssl.create_default_context(cafile=authority)
    except ssl.SSLError as error:  # an OSError too
        raise KeyFileError(f"{authority} holds no certificates in PEM: {error.reason or error}") from error
    except OSError as error:
        raise KeyFileError(f"{authority}: cannot be read ({error.strerror}); may this user read it?") from error
