"""A scenario on a foreign graph: every figure of a small one by hand, and real ones through load and topology."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from reference import reference_data

from placement.datasets import dataset
from placement.scenario import load
from placement.topology import Provenance, State, build_pairs
from placement.topology.foreign import Leg, Network, Place, read_network
from placement.worlds.backbone import generate, site_names

PLACES = (
    Place("0", "Lyon", 45.75, 4.85),
    Place("1", "München", 48.14, 11.58),
    Place("2", "Lyon", 45.751, 4.851),
    Place("3", "Windhoek", -22.5, 17.0),
)
LEGS = (Leg("0", "1", mbps=10_000.0), Leg("2", "0", km=500.0), Leg("1", "3", units=40.0), Leg("0", "3", mbps=0.05))
SMALL = Network("Small & odd", PLACES, LEGS, {("0", "1"): 30.0, ("1", "0"): 10.0, ("0", "3"): 20.0}, ("1 note",))


def table(folder: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(folder / f"{name}.csv", keep_default_na=False, na_values={"mbps": "", "rtt_ms": ""})


def made(tmp_path: Path, network: Network = SMALL, mbps_per_unit: float | None = None) -> tuple[Path, tuple[str, ...]]:
    file = tmp_path / "small.json"
    file.write_text("{}")
    return tmp_path / "world", generate(file, network, tmp_path / "world", mbps_per_unit)


def test_places_become_sites_and_regions_with_the_country_and_people_of_the_nearest_city(tmp_path: Path) -> None:
    folder, notes = made(tmp_path)
    sites, regions = table(folder, "sites"), table(folder, "regions").set_index("region")
    assert sites[["site", "country"]].values.tolist() == [
        ["lyon-0", "FR"], ["lyon-2", "FR"], ["munchen", "DE"], ["windhoek", "NA"],
    ]  # fmt: skip
    cities = pd.read_csv(dataset("world") / "cities.csv", keep_default_na=False).set_index("city")["population"]
    assert regions.loc["lyon-0-users", "users"] == cities["Lyon"] // 2  # both places share its people
    assert regions.loc["windhoek-users", "users"] == cities["Windhoek"]
    assert set(regions["note"]) == {
        "assumed: the people of Lyon",
        "assumed: the people of Munich",
        "assumed: the people of Windhoek",
    }
    assert notes == (
        "1 note", "1 link rates outside 0.5 to 1e+08 Mbit/s left out",
        "1 links have a capacity without a unit, left out: give --mbps-per-unit to use it",
    )  # fmt: skip


def test_a_link_takes_the_inflation_of_the_world_over_its_length_and_a_last_mile_leads_to_it(tmp_path: Path) -> None:
    folder, _ = made(tmp_path)
    links = table(folder, "links").set_index(["source", "target"])
    assert links.loc[("lyon-0", "lyon-2"), "rtt_ms"] == pytest.approx(1.7 * 500 / 100)  # longer than the crow flies
    # Lyon to Munich: 573 km by the spherical law of cosines.
    angle = np.radians([45.75, 48.14, 11.58 - 4.85])
    cosine = np.sin(angle[0]) * np.sin(angle[1]) + np.cos(angle[0]) * np.cos(angle[1]) * np.cos(angle[2])
    assert links.loc[("lyon-0", "munchen"), "rtt_ms"] == pytest.approx(
        1.7 * 6371.0088 * np.arccos(cosine) / 100, rel=1e-5
    )
    assert links.loc[("windhoek-users", "windhoek"), "rtt_ms"] == 5.0
    assert links["note"].str.startswith("assumed: ").all()
    assert links.loc[("lyon-0", "munchen"), "mbps"] == 10_000.0
    assert links["mbps"].notna().sum() == 1  # neither a capacity without a unit nor 50 kbit/s of 1970


def test_a_unit_of_capacity_is_what_the_user_says_it_is(tmp_path: Path) -> None:
    folder, notes = made(tmp_path, mbps_per_unit=155.0)
    assert table(folder, "links").set_index(["source", "target"]).loc[("munchen", "windhoek"), "mbps"] == 40 * 155
    assert not any("without a unit" in note for note in notes)
    assert "155 Mbit/s for every unit" in (folder / "SOURCE.md").read_text()


def test_requests_are_shared_as_traffic_leaves_and_else_by_users(tmp_path: Path) -> None:
    folder, _ = made(tmp_path)
    total = table(folder, "regions")["users"].sum() * 1.2e-5
    shared = table(folder, "demand").set_index("region")["requests_per_s"]
    assert dict(shared) == pytest.approx({"lyon-0-users": total * 50 / 60, "munchen-users": total * 10 / 60}, rel=1e-5)
    (tmp_path / "other").mkdir()
    folder, _ = made(tmp_path / "other", Network("n", PLACES, LEGS))
    users = table(folder, "regions").set_index("region")["users"]
    by_users = table(folder, "demand").set_index("region")["requests_per_s"]
    assert dict(by_users) == pytest.approx(dict(users * 1.2e-5), rel=1e-5)


def test_names_are_unique_whatever_the_labels_are() -> None:
    labels = [("1", "a"), ("2", "a"), ("a-1", "a"), ("3", "a-1"), ("4", "日本"), ("日本", ""), ("5", "a-1")]
    names = site_names(tuple(Place(key, label, 0.0, 1.0) for key, label in labels))
    assert len(set(names.values())) == len(labels)
    assert all(name and name.isascii() for name in names.values())


def test_the_same_graph_gives_the_same_bytes_and_a_scenario_whose_pairs_are_inferred_over_links(tmp_path: Path) -> None:
    one, _ = made(tmp_path)
    (tmp_path / "again").mkdir()
    other, _ = made(tmp_path / "again")
    for path in sorted(one.rglob("*.*")):
        assert path.read_bytes() == (other / path.relative_to(one)).read_bytes(), path.name
    found = build_pairs(load(one)).pairs
    assert (found.rtt_state == State.INFERRED).all()
    assert (found.rtt_provenance == Provenance.PATH).all()
    site, region = found.sites.index("munchen"), found.regions.index("lyon-2-users")
    links = table(one, "links").set_index(["source", "target"])["rtt_ms"]
    assert found.rtt_upper_ms[region, site] == pytest.approx(
        5.0 + links["lyon-0", "lyon-2"] + links["lyon-0", "munchen"]
    )


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "world").mkdir()
    (tmp_path / "world" / "mine.txt").write_text("x")
    with pytest.raises(FileExistsError):
        made(tmp_path)


@pytest.mark.parametrize("name", ["sndlib/geant", "sndlib/dfn-bwin", "topozoo/Arpanet19719", "topozoo/Garr200404"])
def test_real_graphs_make_scenarios_that_load(name: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(reference_data() / "topo" / "topozoo_sndlib_topohub.zip") as archive:
        file = Path(archive.extract(f"{name}.json", tmp_path))
    network = read_network(file)
    generate(file, network, tmp_path / "world")
    scenario = load(tmp_path / "world")
    stated = json.loads(file.read_text())
    assert len(scenario.table("sites")) == len(scenario.table("regions")) == len(stated["nodes"])
    assert len(scenario.table("links")) == len(stated["edges"]) + len(stated["nodes"])
    assert (build_pairs(scenario).pairs.rtt_state == State.INFERRED).all()  # each of them hangs together
