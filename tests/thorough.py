"""How many random problems a test looks at: some in every run, all of them in `make soak`.

The quick ones were chosen by what they still find when the code that they guard is broken, not by time alone.
"""

import os
from typing import TypeVar

THOROUGH = os.environ.get("NEARSERVE_THOROUGH", "0") not in ("", "0")

Chosen = TypeVar("Chosen")


def seeds(full: Chosen, quick: Chosen) -> Chosen:
    """`full` in a thorough run, otherwise `quick`: seeds, instances, or how many of them have to be of a kind."""
    return full if THOROUGH else quick
