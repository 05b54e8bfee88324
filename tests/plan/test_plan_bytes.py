"""The numbering of the arrays leaves no trace: a plan drawn with every name numbered in reverse has the same bytes."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow.parquet as pq
import sketch
import test_backup_by_hand as backups
import test_plan_by_hand as by_hand

from placement.plan.build import build_plan
from placement.plan.certificate import certificate_arrays, guiding_usd, shadow_prices
from placement.plan.folder import ROUTES, write_files
from placement.problem.names import Names, Offer, ShapeName
from solvers.solution import Certificate, Multipliers


def same_bytes(folder: Path, sketches: list[sketch.Sketch], changed: dict[str, str | None]) -> None:
    for name, backwards in (("one", False), ("two", True)):
        solved = sketch.solved(folder / f"scenario-{name}", sketches, changed, backwards=backwards)
        (folder / name).mkdir()
        write_files(folder / name, build_plan(solved, {}))
    for file in ("plan.json", "routes.parquet"):
        assert (folder / "one" / file).read_bytes() == (folder / "two" / file).read_bytes(), file


def test_a_roll_out_has_the_same_bytes_in_any_numbering(tmp_path: Path) -> None:
    same_bytes(tmp_path, list(by_hand.growing()), by_hand.GROWING)


def test_failures_that_split_in_equal_parts_have_the_same_bytes_in_any_numbering(tmp_path: Path) -> None:
    # thirds that cannot be split evenly: who takes the odd part must not depend on the numbering
    shapes = ("m8-one", "m8-two", "m8-three")
    table = by_hand.tiny.FILES["shapes.csv"].strip().splitlines()
    more = [table[1].replace("m8-one", name).replace("balanced", name) for name in shapes[1:]]
    blocks = [("beta", shape, "", "") for shape in shapes]
    other = [("alpha", shape, "", "") for shape in shapes]
    routes = {("paris", "", block): 1 / 3 for block in blocks} | {("berlin", "", blocks[0]): 1.0}
    backup = {("fra", "paris", "", block): 1 / 3 for block in other}
    drawn = sketch.Sketch(
        backups.SERVERS, dict.fromkeys([*blocks, *other], 1), routes, domains=backups.METROS, backup=backup
    )
    same_bytes(tmp_path, [drawn], {"shapes.csv": "\n".join([*table, *more]) + "\n"})
    routed = pq.read_table(tmp_path / "one" / "routes.parquet")
    assert routed.schema.equals(ROUTES)
    taken = [n for n, e in zip(routed["share_ppb"].to_pylist(), routed["failure"].to_pylist(), strict=True) if e]
    assert sorted(taken) == [333_333_333, 333_333_333, 333_333_334]


BLOCKS = SimpleNamespace(  # what the writer asks of a problem: one block, one offer
    block_site=np.array([0]), block_shape=np.array([0]), block_slice=None, offer_site=np.array([0]),
    out_mbps=np.array([3.0, 2.0]), in_mbps=np.array([1.0, 0.0]),
)  # fmt: skip


def leaf(limit: float, uplink: float) -> Certificate:
    none = np.zeros((1, 1))
    return Certificate(Multipliers(np.array([1.0]), none + uplink, none, np.array([limit])))


def names(period: str) -> Names:
    demand = sketch.DemandRow("paris", "m8", "chat", "")
    shapes, offers = (ShapeName("m8-one"),), (Offer("beta", "s2", "buy"),)
    return Names(period, ("beta",), ("",), shapes, offers, (demand,), ("stock|s2|",))


def test_every_period_has_its_own_part_of_the_certificate_and_its_own_prices() -> None:
    periods, certificates = (names("h1"), names("h2")), (leaf(3.0, 0.0), leaf(0.001, 2.5))
    arrays = certificate_arrays(certificates, periods, [BLOCKS] * 2)
    assert arrays is not None
    assert str(arrays["schema"]) == "nearserve-certificate-6"
    assert arrays["period"].tolist() == ["h1", "h2"]
    assert arrays["p1_limit"].tolist() == ["stock|s2|"]
    assert arrays["p0_limit_usd"].tolist() == [3.0]
    assert arrays["p1_uplink_usd"].tolist() == [[2.5]]
    assert arrays["p1_demand_region"].tolist() == ["paris"]
    prices = [(price.limit, price.usd_month) for price in shadow_prices(certificates, periods)]
    assert prices == [("h1: stock|s2|", 3.0), ("h2: uplink|beta", 2.5)]
    assert [price.limit for price in shadow_prices(certificates[:1], periods[:1])] == ["stock|s2|"]


def test_a_period_without_a_certificate_leaves_the_roll_out_without_one() -> None:
    assert certificate_arrays((leaf(1.0, 1.0), None), (names("h1"), names("h2")), [BLOCKS] * 2) is None
    assert certificate_arrays((), (names("h1"),), [BLOCKS]) is None
    assert shadow_prices((), (names("h1"),)) == ()


def test_prices_to_be_guided_by_are_the_leaves_of_a_group_and_count_failures() -> None:
    """Row 0 is in a group of two leaves at 40 and 60 with the root at its penalty of 900; row 1 fails once at 5."""
    own = {
        "demand_usd": np.array([900.0, 20.0]), "groups": np.array(1), "g0_row": np.array([0]),
        "g0_leaf_usd": np.array([[40.0], [60.0]]), "backup_row": np.array([1]), "backup_usd": np.array([5.0]),
    }  # fmt: skip
    assert guiding_usd(own, failures=False).tolist() == [50, 20]
    assert guiding_usd(own, failures=True).tolist() == [50, 25]
