"""A plan that was searched among few of many pairs is told from these alone, in the same bytes as from all."""

from pathlib import Path

import pytest
import tiny
from test_whole_decision_by_hand import n_minus_1

from placement import planning
from placement.planning import plan_scenario
from placement.scenario import load
from placement.solving import Request
from solvers.rollout import RolloutSolution


def test_a_plan_among_candidates_has_the_bytes_of_one_of_all_pairs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("solvers.search.rollout.MANY_PAIRS", 0)
    scenario = load(tiny.write(tmp_path / "scenario", n_minus_1("planned")))
    solve, found = planning.solve, list[RolloutSolution]()

    def searched(*given, narrow: bool, **more):
        found.append(solve(*given, narrow=narrow and not found, **more))
        return found[-1]

    monkeypatch.setattr(planning, "solve", searched)
    for name in ("few", "all"):
        plan_scenario(scenario, tmp_path / name, Request("scale", work=6, branchings=0))
    assert found[0].among is not None
    assert found[1].among is None
    for file in sorted(path.name for path in (tmp_path / "all").iterdir()):
        assert (tmp_path / "few" / file).read_bytes() == (tmp_path / "all" / file).read_bytes(), file
