"""History brought up to date from the source that a configuration names."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from placement.telemetry.config import TelemetryConfig
from placement.telemetry.errors import TelemetryError
from placement.telemetry.files import hours_of_files
from placement.telemetry.history import HOUR_S, merged, read_history, write_history
from placement.telemetry.mapping import mapping
from placement.telemetry.prometheus import hours_of_prometheus

AGAIN_H = 3
"""The newest hours are asked for again: samples may have come late."""


@dataclass(frozen=True)
class Imported:
    """The history as it stands now, and how many hours were asked for and seen."""

    history: pd.DataFrame
    asked_hours: int
    seen_hours: int


def bring_up_to_date(config: TelemetryConfig, as_of: datetime) -> Imported:
    """Read the source up to `as_of`, merge it into the history file, and give the history up to `as_of`.

    Prometheus is asked for the hours of the last `history_days` that the file has nothing of. Hours that are older
    than that leave the file.

    Raises:
        TelemetryError: the source or the file cannot be read, or holds hours after `as_of`: a clock is wrong.
    """
    old = read_history(config.history)
    end = int(as_of.timestamp()) // HOUR_S
    _not_ahead(old, as_of, str(config.history))
    template = config.prometheus.template if config.prometheus else None
    labels, class_of = mapping(config.classes, template)
    asked = 0
    if config.prometheus is not None:
        have = set((old["observed_at"].to_numpy("datetime64[s]").astype(np.int64) // HOUR_S).tolist())
        wanted = [h for h in range(end - 24 * config.history_days, end) if h not in have or h >= end - AGAIN_H]
        asked = len(wanted)
        new = hours_of_prometheus(config.prometheus, labels, class_of, wanted)
    elif config.files is not None:
        new = hours_of_files(config.files, labels, class_of, as_of.timestamp())
    history = merged(old, new)
    history = history[history["observed_at"] >= as_of - timedelta(days=config.history_days, hours=1)]
    history = history.reset_index(drop=True)
    try:
        if len(new):
            write_history(history, config.history)
    except OSError as error:
        raise TelemetryError(f"{config.history}: cannot be written: {error.strerror or error}") from error
    return Imported(history, asked, int(new["observed_at"].nunique()))


def _not_ahead(history: pd.DataFrame, as_of: datetime, where: str) -> None:
    if history.empty or history["observed_at"].max() <= as_of:
        return
    newest = history["observed_at"].max().strftime("%Y-%m-%dT%H:%MZ")
    raise TelemetryError(
        f"{where}: has hours up to {newest}, after the time that is planned at, {as_of:%Y-%m-%dT%H:%MZ}: the clock is "
        "wrong here or was where they come from; set it right, or name another history to work in the past"
    )
