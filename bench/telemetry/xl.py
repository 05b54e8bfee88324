"""A night's demand at full size: 20,000 classes, five weeks of hours, from the history file to demand.csv."""

import argparse
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time

import numpy as np
import pandas as pd

from placement.telemetry.config import CLASS, TelemetryConfig
from placement.telemetry.demanding import expect, known
from placement.telemetry.history import hours, read_history, write_history
from placement.telemetry.table import write_demand

AS_OF = datetime(2026, 11, 2, 2, tzinfo=UTC)
SLICES = "slice,start_utc,hours_per_day\na,00:00,6\nb,06:00,6\nc,12:00,6\nd,18:00,6\n"


@contextmanager
def told(what: str) -> Iterator[None]:
    """Seconds of the clock and of the processor, and the most memory of this process so far."""
    wall, cpu = perf_counter(), process_time()
    yield
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"{what:28}{perf_counter() - wall:8.1f} s{process_time() - cpu:8.1f} CPU s{peak_gb:8.2f} GB", flush=True)


def scenario(folder: Path, regions: int, models: int, slices: bool) -> Path:
    """The tables that demand speaks of."""
    place = pd.DataFrame({"region": [f"r{j:04}" for j in range(regions)]})
    place = place.assign(name=place["region"], country="DE", latitude=50.0, longitude=8.0, users=1000)
    place.to_csv(folder / "regions.csv", index=False)
    names = [f"m{j:02}" for j in range(models)]
    pd.DataFrame({"model": names, "kind": "chat"}).to_csv(folder / "models.csv", index=False)
    (folder / "services.csv").write_text(
        "service,profile,latency_budget_ms,kbyte_in,kbyte_out\nchat,chat,500,5,10\n", encoding="utf-8"
    )
    if slices:
        (folder / "slices.csv").write_text(SLICES, encoding="utf-8")
    return folder


def written(path: Path, regions: int, models: int, days: int) -> None:
    """The history in a file, made by a process of its own: what it takes is none of the job's memory."""
    maker = get_context("spawn").Process(target=_write, args=(path, regions, models, days))
    maker.start()
    maker.join()
    if maker.exitcode:
        raise SystemExit(f"the history could not be made: {maker.exitcode}")
    print(f"{path.stat().st_size / 1e6:,.0f} MB of history")


def _write(path: Path, regions: int, models: int, days: int) -> None:
    write_history(history(regions, models, days), path)


def history(regions: int, models: int, days: int) -> pd.DataFrame:
    """Poisson requests with seasons, a hundredth of the hours absent."""
    draw = np.random.default_rng(0)
    classes, count = regions * models, days * 24
    level = np.exp(draw.uniform(np.log(1e-3), np.log(30), classes))
    hour = np.arange(count)
    rate = level[:, None] * (1 + 0.7 * np.sin(2 * np.pi * (hour + draw.integers(0, 24, classes)[:, None]) / 24))
    rate *= np.where(hour // 24 % 7 >= 5, 0.6, 1.0)
    mean = draw.poisson(rate * 3600) / 3600
    peak = np.maximum(mean, mean + 1.6 * np.sqrt(rate / 300) * draw.gamma(9, 1 / 9, rate.shape))
    seen = draw.random(rate.shape) > 0.01
    whole = np.arange(regions), np.arange(models)
    names = [np.repeat(whole[0], models), np.tile(whole[1], regions), np.zeros(classes, np.int64)]
    words = [[f"r{j:04}" for j in range(regions)], [f"m{j:02}" for j in range(models)], ["chat"]]
    frame = pd.DataFrame(
        {
            "hour": np.broadcast_to(int(AS_OF.timestamp()) // 3600 - count + hour, rate.shape)[seen],
            **{
                name: pd.Categorical.from_codes(
                    np.asarray(np.broadcast_to(code[:, None], rate.shape)[seen], np.int64), categories=pd.Index(word)
                )
                for name, code, word in zip(CLASS, names, words, strict=True)
            },
            "requests_per_s": mean[seen],
            "peak_requests_per_s": peak[seen],
            "windows": 12,
        }
    )
    return hours(frame)


def main(argv: list[str]) -> int:
    """Time each step."""
    parser = argparse.ArgumentParser(prog="bench.telemetry.xl")
    parser.add_argument("--regions", type=int, default=1000)
    parser.add_argument("--models", type=int, default=20)
    parser.add_argument("--days", type=int, default=35)
    parser.add_argument("--slices", action="store_true", help="four slices of six hours")
    given = parser.parse_args(argv)
    with TemporaryDirectory() as name:
        folder = scenario(Path(name), given.regions, given.models, given.slices)
        path = folder / "history.parquet.kept"
        written(path, given.regions, given.models, given.days)
        config = TelemetryConfig.model_validate(
            {"history": path, "files": {"paths": [path], "kind": "rates"}, "history_days": given.days}
        )
        with told("read the history"):
            read = read_history(path)
        with told("days of classes"):
            ready = known(config, folder, read, AS_OF + timedelta(minutes=5))
        with told("back-test, forecast, rows"):
            expected = expect(config, ready, AS_OF + timedelta(minutes=5))
        with told("written"):
            write_demand(expected, folder)
        print(expected.provenance["backtest"])
    return 0


if __name__ == "__main__":
    import sys

    raise SystemExit(main(sys.argv[1:]))
