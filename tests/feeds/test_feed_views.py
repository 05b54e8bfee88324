"""Plan folders as feeds see them; what the plans say is worked out in feed_plans and in tests/tiny.py."""

import json
from pathlib import Path

import pytest

from placement.feeds.addresses import read_addresses
from placement.feeds.view import Address, Addresses, Moment, Replicas, Servers
from placement.feeds.views import open_plan
from placement.plan.reading import PlanReadError, StalePlanError
from placement.scenario import Scenario, load
from tests.feeds.feed_plans import sliced
from tests.tiny import column, write

Plan = tuple[Path, Scenario]


def test_a_failure_is_what_flows_on_and_what_the_plan_moves(three_sites_plan: Plan) -> None:
    views = open_plan(*three_sites_plan, Addresses({}))
    assert views.moments == (Moment(),)
    assert views.failures == ("metro-alpha", "metro-beta", "metro-gamma")
    normal, down = views.at(Moment()), views.at(Moment(failure="metro-alpha"))
    shares = normal.by_class["paris", "m8", "chat"]
    assert shares.keys() == {"alpha", "gamma"}
    assert shares["alpha"] == pytest.approx(20 / 24 * 1e9, rel=2e-6)
    assert sum(shares.values()) == 10**9
    after = down.by_class["paris", "m8", "chat"]
    assert sum(after.values()) == 10**9
    moved = {route.site: route.share_ppb for route in normal.backups["metro-alpha"]}
    assert after == {"beta": moved["beta"], "gamma": shares["gamma"] + moved["gamma"]}
    assert normal.policy == "planned"
    assert normal.domains["metro-beta"] == {"beta"}
    assert normal.sites["gamma"].domains == ("metro-gamma",)
    assert {server.site for server in normal.servers} == {"alpha", "beta", "gamma"}


def test_each_slice_is_a_moment_of_its_own(sliced_plan: Plan) -> None:
    views = open_plan(*sliced_plan, Addresses({}))
    assert views.moments == (Moment("", "day"), Moment("", "night"))
    for moment in views.moments:
        seen = views.at(moment)
        assert seen.classes == (("berlin", "m8", "chat"), ("paris", "m8", "chat"))
        assert sum(route.share_ppb for route in seen.routes) == 2 * 10**9
        assert seen.servers == (Servers("beta", "s2", "", "g96", 2, 1),)
        assert seen.replicas == (Replicas("beta", "m8-one", "", 2),)
        assert seen.shapes["m8-one"].quarter_gpus == 4
        assert seen.policy is None
        assert seen.domains == {}
    with pytest.raises(KeyError):
        views.at(Moment("", "day", "metro-alpha"))


def test_a_plan_of_other_inputs_is_stale_and_what_differs_is_named(sliced_plan: Plan, tmp_path: Path) -> None:
    other = load(write(tmp_path, {**sliced(), **column("sites.csv", "storage_gb", 5, 5)}))
    with pytest.raises(StalePlanError, match="sites differ"):
        open_plan(sliced_plan[0], other, Addresses({}))


def test_a_folder_without_a_plan_or_with_a_spoilt_one_is_refused(sliced_plan: Plan, tmp_path: Path) -> None:
    with pytest.raises(PlanReadError, match=r"plan\.json"):
        open_plan(tmp_path, sliced_plan[1], Addresses({}))
    document = json.loads((sliced_plan[0] / "plan.json").read_bytes())
    document["replicas"][0]["site"] = "nowhere"
    (tmp_path / "plan.json").write_text(json.dumps(document))
    with pytest.raises(PlanReadError, match=r"routes\.parquet"):
        open_plan(tmp_path, sliced_plan[1], Addresses({}))
    (tmp_path / "routes.parquet").write_bytes((sliced_plan[0] / "routes.parquet").read_bytes())
    with pytest.raises(PlanReadError, match="site 'nowhere'"):
        open_plan(tmp_path, sliced_plan[1], Addresses({}))
    with pytest.raises(PlanReadError, match="no period 'h9'"):
        open_plan(*sliced_plan, Addresses({}), "h9")


def test_addresses_are_by_site_and_model(sliced_plan: Plan, tmp_path: Path) -> None:
    path = tmp_path / "addresses.csv"
    path.write_text("host,port,site,model\n192.0.2.2,80,beta,\n2001:DB8::1,81,beta,m8\nPoP.Example.,82,beta,m8\n")
    addresses = read_addresses(path, sliced_plan[1])
    assert addresses.of("beta", "m8") == (Address("2001:db8::1", 81), Address("pop.example", 82))
    assert addresses.of("beta", "other") == (Address("192.0.2.2", 80),)
    assert addresses.of("alpha", "m8") == ()
