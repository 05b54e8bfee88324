"""atlas-rollout: what it adds to atlas-2025, checked from the written tables."""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from placement.datasets import dataset
from placement.geo import great_circle_km
from placement.worlds.atlas_rollout import generate
from placement.worlds.diurnal import by_slice, slice_table


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("atlas") / "scenario"
    generate(out)
    return out


def table(folder: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(folder / f"{name}.csv", keep_default_na=False)


def test_the_busiest_slice_of_the_last_period_asks_what_the_atlas_asks(folder: Path) -> None:
    whole, base = table(folder, "demand"), table(dataset("atlas-2025"), "demand")
    key = ["region", "model", "service"]
    last = whole[whole["period"] == "2027-H1"].groupby(key)
    asked = base.set_index(key)["requests_per_s"].sort_index()
    assert np.allclose(last["requests_per_s"].max().sort_index(), asked, rtol=2e-5)
    # six slices of four hours: the plain mean of the slices is the day's
    assert np.allclose(last["mean_requests_per_s"].mean().sort_index(), asked / 2, rtol=2e-4)


def test_demand_grows_by_the_same_share_everywhere(folder: Path) -> None:
    total = table(folder, "demand").groupby("period")["requests_per_s"].sum()
    assert np.allclose(total / total["2027-H1"], [0.4, 0.6, 0.8, 1.0], rtol=1e-5)


def test_a_slice_is_busiest_where_it_is_afternoon() -> None:
    slices = slice_table(6)
    # 15:00 local is 14:00 UTC an hour east of Greenwich, the middle of the slice from 12:00 on
    factor = by_slice(np.array([1.0]), slices)[0]
    assert factor.argmax() == 3
    assert factor[3] == pytest.approx(1.0)
    assert factor[0] == pytest.approx((1 - 0.45) / 1.45)  # twelve hours away


def test_sites_of_one_metro_are_near_and_those_of_two_are_not(folder: Path) -> None:
    sites = table(folder, "sites").set_index("site")
    domains = table(folder, "domains")
    assert sorted(domains["site"]) == sorted(sites.index)
    place = sites.loc[domains["site"], ["latitude", "longitude"]].to_numpy(float)
    km = great_circle_km(place[:, None, 0], place[:, None, 1], place[None, :, 0], place[None, :, 1])
    same = domains["domain"].to_numpy()[:, None] == domains["domain"].to_numpy()[None, :]
    assert km[~same].min() > 80
    several = domains.groupby("domain").filter(lambda metro: len(metro) > 1)
    assert len(several)
    np.fill_diagonal(km, np.inf)
    assert (np.where(same, km, np.inf).min(axis=1)[several.index] <= 80).all()


def test_the_same_tables_give_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    generate(tmp_path / "again")
    for path in folder.rglob("*"):
        if path.is_file():
            again = tmp_path / "again" / path.relative_to(folder)
            assert hashlib.sha256(path.read_bytes()).digest() == hashlib.sha256(again.read_bytes()).digest(), path


def test_a_folder_that_holds_something_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "kept.txt").write_text("mine")
    with pytest.raises(FileExistsError):
        generate(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["kept.txt"]
