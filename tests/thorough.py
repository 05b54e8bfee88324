"""How many random problems a test looks at: some in every run, all of them in `make soak`.

Where solvers are held against enumerations the quick ones notice every family of rows, taken out of the model, that all
of them notice. Where every problem is checked by itself the quick ones are the first of them, for their time.
"""

import os
from typing import TypeVar

THOROUGH = os.environ.get("NEARSERVE_THOROUGH", "0") not in ("", "0")

Chosen = TypeVar("Chosen")


def seeds(full: Chosen, quick: Chosen) -> Chosen:
    """`full` in a thorough run, otherwise `quick`: seeds, instances, or how many of them have to be of a kind."""
    return full if THOROUGH else quick
