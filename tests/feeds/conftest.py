"""Plans that several tests of feeds look at; nobody changes them."""

from pathlib import Path

import pytest

from placement.scenario import Scenario
from tests.feeds.feed_plans import planned, reliable, sliced, three_sites


@pytest.fixture(scope="session")
def three_sites_plan(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Scenario]:
    """A plan that survives the failure of any of three metros; its scenario and addresses.csv stand beside it."""
    return planned(tmp_path_factory.mktemp("three"), three_sites())


@pytest.fixture(scope="session")
def sliced_plan(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Scenario]:
    """A plan of a day and a night, without failures; its scenario and addresses.csv stand beside it."""
    return planned(tmp_path_factory.mktemp("sliced"), sliced())


@pytest.fixture(scope="session")
def two_sites_plan(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Scenario]:
    """A plan of two metros either of which may fail; berlin has nobody else when beta does."""
    return planned(tmp_path_factory.mktemp("two"), reliable("planned"))
