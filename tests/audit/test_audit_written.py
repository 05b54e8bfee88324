"""What a solver numbers, `placement.plan` names, and the auditor finds again in the tables: figures by hand."""

from pathlib import Path

import numpy as np
import pytest
from audit_twins import near, twins

from placement.audit import verify_bound
from placement.plan.certificate import certificate_arrays
from placement.problem import build_rollout
from placement.problem.names import Built
from placement.scenario import Scenario
from solvers.solution import (
    SPLIT_OPEN,
    SPLIT_REPLICAS,
    SPLIT_SERVERS,
    Backup,
    Certificate,
    Cuts,
    Group,
    GroupLeaf,
    Multipliers,
    Tree,
)

# 12 requests/s keep 1.2 servers of 100 USD busy; a second class asks for nothing here.
TWELVE = twins([12])


def built(told: Scenario, sites: str = "pq") -> Built:
    return build_rollout(told, near(sites))


def prices(usd: list[float], sites: int = 2, **more: object) -> Multipliers:
    return Multipliers(np.array(usd), np.zeros((sites, 1)), np.zeros((sites, 1)), np.empty(0), **more)


def proved(told: Scenario, certificate: Certificate, path: Path, sites: str = "pq") -> float:
    found = built(told, sites)
    arrays = certificate_arrays([certificate], found.names, found.rollout.periods)
    assert arrays is not None
    np.savez(path / "certificate.npz", **arrays)
    bound = verify_bound(path / "certificate.npz", told, near(sites))
    assert bound.bound_usd_month is not None, bound.reason
    return bound.bound_usd_month


def rounding(blocks: list[int], row: int = 0) -> Cuts:
    """One cut of 12 requests/s in units of 10."""
    return Cuts(
        np.array([10.0]), np.array([0, 1]), np.array([row]), np.array([12.0]), np.array([0, len(blocks)]),
        np.array(blocks),
    )  # fmt: skip


def test_cuts_are_found_again(tmp_path):
    """γ = 100 over both blocks rounds 1.2 servers up: 200 USD; over that of q alone p earns 600·10/12 - 100."""
    told = Certificate(prices([600.0], cut_usd=np.array([100.0])), rounding([0, 1]))
    assert proved(TWELVE, told, tmp_path) == pytest.approx(200)
    told = Certificate(prices([600.0], cut_usd=np.array([100.0])), rounding([1]))
    assert proved(TWELVE, told, tmp_path) == pytest.approx(200 - 400)


def test_failure_rows_are_found_again(tmp_path):
    """Three metros, 12 requests/s: without any one two servers are needed, so three stand; a cut for each failure."""
    told = twins([12], "pqr", domains=["x,p", "y,q", "z,r"])
    cuts = Cuts(np.full(3, 10.0), np.arange(4), np.array([1, 2, 3]), np.full(3, 12.0), np.arange(0, 12, 3),
                np.tile(np.arange(3), 3))  # fmt: skip
    backup = Backup(np.arange(3), np.zeros(3, np.int64), np.full(3, 300.0))
    certificate = Certificate(prices([0.0], 3, cut_usd=np.full(3, 50.0), backup=backup), cuts)
    assert proved(told, certificate, tmp_path, "pqr") == pytest.approx(300)


def test_jobs_are_found_again(tmp_path):
    """A job of a GPU beside 12 requests/s: at 600 for the row and 150 for the job p and q each are left with 450."""
    head = "job,kind,model,gpu,gpus,hours,window,deadline,preemptible,residency,data_gb,data_site"
    told = twins([12], jobs=f"{head}\ntune,finetune,m,g,1,4,,,no,,,")
    assert built(told).names[0].jobs == ("tune",)
    certificate = Certificate(prices([600.0], job_usd=np.array([150.0])))
    assert proved(told, certificate, tmp_path) == pytest.approx(750 - 2 * (600 + 150 - 300))


def splits(told: Scenario, kind: int, at: int) -> list[int]:
    """Numbers of what a branching of a kind counts at a site."""
    problem = built(told).rollout.periods[0]
    place = {SPLIT_OPEN: np.arange(2), SPLIT_SERVERS: problem.offer_site, SPLIT_REPLICAS: problem.block_site}[kind]
    return np.flatnonzero(place == at).tolist()


@pytest.mark.parametrize("kind", [SPLIT_SERVERS, SPLIT_REPLICAS])
def test_groups_and_their_trees_are_found_again(kind, tmp_path):
    """The four leaves of `test_audit_groups`: none at p; one at p and none at q; one and some; two or more at p."""
    p, q = (splits(TWELVE, kind, at)[0] for at in (0, 1))
    tree = Tree(
        np.full(3, kind), np.array([p, p, q]), np.array([0, 1, 0]), np.array([-1, 2, -2]), np.array([1, -4, -3])
    )
    leaves = tuple(GroupLeaf(np.array([usd]), np.empty(0)) for usd in (600.0, 600.0, 0.0, 120.0))
    group = Group(np.array([0, 1]), np.array([0]), Cuts(), tree, leaves)
    assert proved(TWELVE, Certificate(prices([600.0]), Cuts(), (group,)), tmp_path) == pytest.approx(200)


def test_a_closed_site_and_cuts_of_a_group_are_found_again(tmp_path):
    """Closed q at 600: 400 of p; open q with γ = 100 of 600: all is δ, so 0 - (200 - 600)."""
    tree = Tree(np.array([SPLIT_OPEN]), np.array([1]), np.array([0]), np.array([-1]), np.array([-2]))
    leaves = (GroupLeaf(np.array([600.0]), np.array([0.0])), GroupLeaf(np.array([600.0]), np.array([100.0])))
    group = Group(np.array([0, 1]), np.array([0]), rounding([0, 1]), tree, leaves)
    assert proved(TWELVE, Certificate(prices([600.0]), Cuts(), (group,)), tmp_path) == pytest.approx(200)
