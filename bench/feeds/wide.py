"""A scenario whose plan stands at nearly all of 4,400 sites: python -m bench.feeds.wide SCENARIO

A plan of `nearserve init --from edge --sites 4400` needs no more than 283 of them. Here everybody asks for twenty times
as much and as many servers as anybody wants are for sale, so that sites fill up: 4,137 of them. Then

    nearserve plan SCENARIO -o PLAN --method scale --gap 0.5 --time-limit 400
    python -m bench.feeds.rendered PLAN SCENARIO
"""

import sys
from pathlib import Path

import pandas as pd

from placement.worlds.edge import generate

TIMES = 20


def main(arguments: list[str]) -> int:
    """Write the scenario."""
    if len(arguments) != 1:
        print("needs a folder for the scenario: python -m bench.feeds.wide SCENARIO")
        return 0
    folder = Path(arguments[0])
    generate(folder, sites=4400, regions=1000, models=20, seed=7)
    (folder / "deliveries.csv").unlink()
    demand = pd.read_csv(folder / "demand.csv", keep_default_na=False)
    for rate in ("requests_per_s", "mean_requests_per_s"):
        demand[rate] = (demand[rate] * TIMES).round(6)
    demand.to_csv(folder / "demand.csv", index=False)
    document = folder / "scenario.toml"
    document.write_text(document.read_text().replace("_ms = 0.2", "_ms = 0.5"))  # so that near sites are worth it
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
