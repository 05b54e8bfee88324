"""(1) Against slivers: the least share of a class that a used site carries, the most sites of a class."""

import numpy as np
import pandas as pd

from placement.frames import keyed, texts
from placement.scenario import Scenario
from solvers.rules import Spread

ROUNDING = 1 + 1e-8  # shares are rounded down to parts per billion


def spread_rule(scenario: Scenario, demand: pd.DataFrame) -> Spread | None:
    """min_share and max_sites of every demand row's service; None where no service of the demand has either."""
    services = keyed(scenario.table("services"), "service")
    named = texts(demand, "service")
    least = np.nan_to_num(np.array([services[name]["min_share"] for name in named], np.float64))
    most = np.nan_to_num(np.array([services[name]["max_sites"] for name in named], np.float64))
    if not least.any() and not most.any():
        return None
    return Spread(np.minimum(least * ROUNDING, 1.0), most.astype(np.int64))
