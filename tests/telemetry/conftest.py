"""One Prometheus for all tests that ask one."""

from collections.abc import Iterator

import pytest

from tests.telemetry.prometheus_server import fill, openmetrics, prometheus
from tests.telemetry.telemetry_world import METRIC, series


@pytest.fixture(scope="session")
def prometheus_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server that holds the six hours of telemetry_world."""
    folder = tmp_path_factory.mktemp("prometheus")
    with prometheus(folder, fill(folder, openmetrics(METRIC, series()))) as port:
        yield f"http://127.0.0.1:{port}"
