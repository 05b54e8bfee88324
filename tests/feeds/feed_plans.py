"""Plans of scenarios that can be worked out on paper, for feeds: from tests/tiny.py on."""

from pathlib import Path

from placement.planning import plan_scenario
from placement.scenario import Scenario, load
from placement.solving import Request
from tests.tiny import FILES, SLICED, SLICES, document_with, write

METROS = "domain,kind,site\nmetro-alpha,metro,alpha\nmetro-beta,metro,beta\n"
ADDRESSES = "site,model,host,port\nalpha,,127.0.0.1,8001\nbeta,,127.0.0.1,8002\nbeta,,127.0.0.1,8003\n"


def reliable(failover: str) -> dict[str, str | None]:
    """Either metro may fail: paris goes from beta to alpha then, berlin has nobody else within its budget."""
    text = f'[reliability]\nn_minus_1 = ["metro"]\nfailover = "{failover}"\n'
    return {**document_with(text), "domains.csv": METROS}


def three_sites() -> dict[str, str | None]:
    """24 requests/s of paris over three sites with one server each, which takes 20.

    Near ones come first, as waiting has a price: alpha takes 20, gamma 4. When alpha fails, gamma has room for 16 of
    its 20 and beta for the rest, which is what the plan says; left to itself a target would send all 24 to gamma.
    """
    site = "gamma,Metz,FR,49.12,6.18,10,42,1000,0.05,50,100,0.1,1.5\n"
    pairs = (
        "observed_at,source,target,method,sent,received,rtt_ms\n"
        "2025-12-31T00:00:00Z,paris,alpha,icmp,3,3,10;10;10\n"
        "2025-12-31T00:00:00Z,paris,gamma,icmp,3,3,20;20;20\n"
        "2025-12-31T00:00:00Z,paris,beta,icmp,3,3,40;40;40\n"
    )
    priced = "wacc = 0.0\nlatency_usd_per_million_request_ms = 1.0"
    document = FILES["scenario.toml"].replace("wacc = 0.0", priced)
    return {
        "scenario.toml": document + '[reliability]\nn_minus_1 = ["metro"]\n',
        "sites.csv": (FILES["sites.csv"] + site).replace(",10,42,1000", ",1,42,1000"),
        "demand.csv": "region,model,service,requests_per_s,mean_requests_per_s\nparis,m8,chat,24,24\n",
        "domains.csv": METROS + "metro-gamma,metro,gamma\n",
        "measurements/pairs.csv": pairs,
    }


def sliced() -> dict[str, str | None]:
    """Day and night."""
    return {"demand.csv": SLICED.lstrip("\n"), "slices.csv": SLICES}


def planned(folder: Path, changes: dict[str, str | None] | None = None) -> tuple[Path, Scenario]:
    """A plan of the tiny scenario with these files changed, and the scenario; addresses.csv lies beside the plan."""
    scenario = load(write(folder / "scenario", changes))
    plan_scenario(scenario, folder / "plan", Request(method="exact", gap=0.0, time_limit_s=60.0))
    (folder / "addresses.csv").write_text(ADDRESSES + "gamma,,127.0.0.1,8004\n" * ((changes or {}) == three_sites()))
    return folder / "plan", scenario
