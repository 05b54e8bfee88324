"""Every test of scenarios begins with one that is sound."""

from pathlib import Path

import pytest
from small_scenario import write_small


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that holds the small scenario."""
    return write_small(tmp_path / "small")
