"""A Prometheus on loopback that holds what a test says, and collects nothing."""

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

from tests.servers import free_port, program

Series = tuple[Mapping[str, str], Sequence[tuple[int, float]]]
"""Labels, and (seconds since 1970, count)."""


def openmetrics(metric: str, series: Sequence[Series]) -> str:
    """The text that promtool fills a storage from; counters end in _total there."""
    kind = "counter" if metric.endswith("_total") else "unknown"
    lines = [f"# TYPE {metric.removesuffix('_total')} {kind}"]
    for labels, samples in series:
        text = ",".join(f'{name}="{value}"' for name, value in labels.items())
        lines += [f"{metric}{{{text}}} {count:g} {at}" for at, count in samples]
    return "\n".join([*lines, "# EOF", ""])


def fill(folder: Path, text: str) -> Path:
    """A storage that holds the samples of OpenMetrics text."""
    source, storage = folder / "samples.om", folder / "storage"
    source.write_text(text)
    command = [program("promtool", "prometheus"), "tsdb", "create-blocks-from", "openmetrics", source, storage]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    return storage


@contextmanager
def prometheus(folder: Path, storage: Path, web: str | None = None) -> Iterator[int]:
    """The port of a server on 127.0.0.1, until the block ends; `web` is its file of TLS and users."""
    (folder / "prometheus.yml").write_text("global: {}\n")
    for _ in range(3):  # somebody may take the port meanwhile
        port = free_port()
        command = [
            str(program("prometheus", "prometheus")),
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={storage}",
            "--storage.tsdb.retention.time=100y",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        if web is not None:
            (folder / "web.yml").write_text(web)
            command.append(f"--web.config.file={folder / 'web.yml'}")
        with (folder / "prometheus.log").open("wb") as log:
            process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
        try:
            if not _ready(process, folder / "prometheus.log"):
                continue
            yield port
            return
        finally:
            process.terminate()
            process.wait(timeout=30)
    raise AssertionError((folder / "prometheus.log").read_text())


def _ready(process: "subprocess.Popen[bytes]", log: Path) -> bool:
    """Whether it came up; false where it ended."""
    deadline = monotonic() + 60
    while monotonic() < deadline:
        if process.poll() is not None:
            return False
        if b"Server is ready" in log.read_bytes():
            return True
        sleep(0.05)
    raise AssertionError(log.read_text())
