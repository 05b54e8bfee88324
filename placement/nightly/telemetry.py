"""The stage that asks telemetry what demand to expect."""

from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError

from placement.nightly.faults import Fault, causes, disk_is_full

SERVER_ERROR = 500
"""The first HTTP status that is the server's fault."""


def expected(config: Path, scenario: Path, into: Path, as_of: datetime) -> dict[str, Any]:
    """demand.csv, with its provenance, in the folder `into`; `scenario` says which classes there are.

    Raises:
        Fault: telemetry does not answer, is too old, or says too little.
    """
    from placement.telemetry.config import read_telemetry_config  # noqa: PLC0415
    from placement.telemetry.demanding import demand_from_telemetry  # noqa: PLC0415
    from placement.telemetry.errors import StaleTelemetryError, TelemetryError  # noqa: PLC0415
    from placement.telemetry.table import write_demand  # noqa: PLC0415

    try:
        found = demand_from_telemetry(read_telemetry_config(config), scenario, as_of)
    except StaleTelemetryError as error:
        raise Fault("stale", str(error)) from error
    except TelemetryError as error:
        raise Fault(reason_of(error), str(error)) from error
    write_demand(found, into)
    frame = found.frame
    return {
        "rows": len(frame),
        "requests_per_s": float(frame["requests_per_s"].sum()),
        "told": list(found.told),
    }


def reason_of(error: BaseException) -> str:
    """Whether a full disk, or a server that does not answer or has no answer, is behind it; else what was said."""
    if disk_is_full(error):
        return "disk_full"
    for cause in causes(error):
        if isinstance(cause, HTTPError):
            return "server_down" if cause.code >= SERVER_ERROR else "bad_records"
        if isinstance(cause, URLError | ConnectionError | TimeoutError):
            return "server_down"
    return "bad_records"
