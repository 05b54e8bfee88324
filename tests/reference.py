"""Where the reference data of the tests lies: real sets that the project reads and never contains."""

import os
from pathlib import Path

import pytest


def reference_data() -> Path:
    """The folder `../shared/data` beside the checkout; call it inside a test.

    Without the folder the test is skipped and says so; where `CI` is set a missing folder fails instead,
    so that no run which is meant to be a proof passes without its data.
    """
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        message = "reference data ../shared/data is not beside this checkout"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return folder
