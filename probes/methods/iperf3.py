"""Achievable TCP by iperf3, where it is installed, against an iperf3 server; the figure is the receiver's."""

import dataclasses
import io
import shutil
import subprocess
import time
from typing import Final, Literal

from probes.methods.endpoint import Endpoint
from probes.record import Record
from probes.wire.clock import Reading

PORT: Final = 5201
_GRACE_S: Final = 10.0
_NOTHING: Final = Record(observed_at=0, source="", target="", method="imported:iperf3")


class NoIperf3Error(RuntimeError):
    """iperf3 is not installed, or not where it was said to be."""


def measure(
    endpoint: Endpoint,
    *,
    direction: Literal["down", "up"],
    source: str,
    seconds: int = 10,
    omit_s: int = 0,
    congestion: str | None = None,
    binary: str = "iperf3",
) -> Record:
    """One TCP run of whole seconds, `omit_s` of warm-up before them; what fails in it is the record's `error`.

    `method` is "imported:iperf3", as of a file of iperf3. Raises NoIperf3Error where there is no such program.
    """
    found = shutil.which(binary)
    if found is None:
        raise NoIperf3Error(f"{binary} is not installed here: install the package iperf3, or measure with ndt7")
    before, started_ns = Reading.now(), time.time_ns()
    command = _command(found, endpoint, direction, seconds, omit_s, congestion)
    try:
        limit_s = seconds + omit_s + _GRACE_S
        run = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=limit_s, check=False)
        record = _read(run.stdout, started_ns) or dataclasses.replace(_NOTHING, error=_said(run))
    except subprocess.TimeoutExpired:
        record = dataclasses.replace(_NOTHING, error="timeout")
    return dataclasses.replace(
        record,
        observed_at=started_ns,
        source=source,
        target=endpoint.name,
        source_alias=None,
        target_alias=endpoint.alias,
        family=endpoint.family,
        direction=direction,
        loaded=True,
        clock_ok=before.steady(Reading.now()),
    )


def _command(
    program: str, endpoint: Endpoint, direction: str, seconds: int, omit_s: int, congestion: str | None
) -> list[str]:
    """An argument list, never a shell's line; the address is an IP literal, so it cannot be taken for an option."""
    return [
        program, "--json", "--client", endpoint.address, "--port", str(endpoint.port or PORT),
        "--time", str(seconds), *(["--omit", str(omit_s)] if omit_s else []),
        *(["--reverse"] if direction == "down" else []), *(["--congestion", congestion] if congestion else []),
    ]  # fmt: skip


def _read(output: bytes, started_ns: int) -> Record | None:
    """The one record of iperf3's JSON; None where it holds none."""
    from probes.importers import iperf3  # noqa: PLC0415  # brings pyarrow, which the other methods do without
    from probes.importers.collector import Collector  # noqa: PLC0415
    from probes.importers.options import Options  # noqa: PLC0415

    collector = Collector("iperf3")
    iperf3.read(io.BytesIO(output), collector, Options(observed_at=started_ns))
    rows = collector.result("skip").table.to_pylist()
    return Record(**{**rows[0], "observed_at": started_ns}) if rows else None


def _said(run: "subprocess.CompletedProcess[bytes]") -> str:
    said = (run.stderr or run.stdout).decode("utf-8", "replace").strip().partition("\n")[0][:200]
    return said or f"iperf3 gave no JSON and exit status {run.returncode}"
