"""Other people's programs that tests hold our files and our readers against."""

import os
import shutil
import socket
import sysconfig
from pathlib import Path

import pytest


def program(name: str, package: str) -> Path:
    """Where the program `name` is; `package` says what to install. Call it inside a test or a fixture.

    Without it the test is skipped and says so; where `CI` is set it fails instead, so that no run which is meant to be
    a proof passes without what it proves against. `.ci/run` installs them all.
    """
    places = (sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin")
    found = shutil.which(name, path=os.pathsep.join(places))
    if found is None:
        message = f"{name} is not on this machine: install {package}"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return Path(found)


def free_port() -> int:
    """A port of 127.0.0.1 that nobody has, for TCP and UDP."""
    with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
        tcp.bind(("127.0.0.1", 0))
        udp.bind(tcp.getsockname())
        return int(tcp.getsockname()[1])
