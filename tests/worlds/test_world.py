"""The facts of the world: derived tables against the raw files and against figures read off by hand."""

import filecmp
from pathlib import Path

import pandas as pd
import pytest
from reference import reference_data

from placement.datasets import dataset
from placement.worlds import world
from placement.worlds.reading import MissingReferenceError, rounded


def bundled(name: str) -> pd.DataFrame:
    return pd.read_csv(dataset("world") / name, dtype=str, keep_default_na=False)


def test_world_rebuilds_to_the_same_bytes(tmp_path: Path) -> None:
    world.build(reference_data(), tmp_path)
    names = ["blocs.csv", "cities.csv", "countries.csv"]
    assert filecmp.cmpfiles(tmp_path, dataset("world"), names, shallow=False) == (names, [], [])


def test_namibia_and_norway_are_countries_and_not_absence_and_falsehood() -> None:
    countries = bundled("countries.csv").set_index("country")
    assert list(countries.loc[["NA", "NO"], "name"]) == ["Namibia", "Norway"]
    assert countries.loc["US", "continent"] == "NA"
    assert {"NA", "NO"} <= set(bundled("cities.csv")["country"])
    assert ("AU-DSM", "NA") in set(bundled("blocs.csv").itertuples(index=False, name=None))


def test_countries_hold_the_figures_that_the_raw_tables_hold() -> None:
    # Read off countries_geonames.csv and internet_users_by_country.csv.
    countries = bundled("countries.csv").set_index("country")
    columns = ["iso3", "population", "internet_users", "internet_users_year"]
    assert list(countries.loc["IN", columns]) == ["IND", "1352617328", "587108962", "2020"]
    assert list(countries.loc["NA", columns]) == ["NAM", "2448255", "1523182", "2022"]


def test_a_country_without_a_usable_figure_has_no_internet_users_and_not_zero() -> None:
    users = bundled("countries.csv").set_index("country")["internet_users"]
    assert users["TW"] == ""  # not in the source
    assert users["AS"] == ""  # the source's newest is 0 % of 1995
    assert users["KP"] == "0"  # 0 % of 2013 is a figure


def test_codes_that_iso_withdrew_are_no_countries() -> None:
    assert not {"AN", "CS"} & set(bundled("countries.csv")["country"])


def test_the_eu_has_27_members_and_the_eea_adds_three() -> None:
    blocs = bundled("blocs.csv").groupby("bloc")["country"].agg(set)
    assert len(blocs["EU"]) == 27
    assert blocs["EEA"] - blocs["EU"] == {"IS", "LI", "NO"}
    assert blocs["EEA"] >= blocs["EU"]
    assert "GB" not in blocs["EEA"]


def test_cities_are_large_or_capitals_and_carry_their_standard_time() -> None:
    cities = bundled("cities.csv").set_index("geoname_id")
    assert cities.index.is_unique
    small = cities[cities["population"].astype(int) < 50_000]
    assert set(small["capital"]) == {"1"}
    assert list(cities.loc["1283240", ["city", "utc_offset_hours"]]) == ["Kathmandu", "5.75"]
    # Auckland's January is summer time: the lesser of the year's two offsets is standard time.
    assert list(cities.loc["2179537", ["city", "capital", "utc_offset_hours"]]) == ["Wellington", "1", "12.0"]
    assert cities.loc["4177703", "capital"] == "0"  # Wellington in Florida


def test_a_centre_lies_between_its_towns_across_the_date_line() -> None:
    latitude, longitude, weight = (pd.Series(v, dtype=float) for v in ([0, 0], [179, -179], [3, 3]))
    middle = world.centre(latitude, longitude, weight)
    assert middle[0] == 0
    assert abs(middle[1]) == 180


def test_a_centre_leans_to_the_larger_town() -> None:
    # Mean of the directions (1,0,0)·3 and (0,1,0)·1: longitude atan(1/3).
    latitude, longitude, weight = (pd.Series(v, dtype=float) for v in ([0, 0], [0, 90], [3, 1]))
    assert world.centre(latitude, longitude, weight) == (0.0, 18.4349)


def test_figures_are_rounded_to_significant_digits_and_absence_stays() -> None:
    values = rounded([123456789.0, 0.000123456789, 0.0, -98765.4321], 4)
    assert list(values) == [123500000.0, 0.0001235, 0.0, -98770.0]
    assert pd.isna(rounded([float("nan")])[0])


def test_a_missing_raw_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingReferenceError, match=r"countries_geonames\.csv is missing"):
        world.build(tmp_path, tmp_path / "out")
