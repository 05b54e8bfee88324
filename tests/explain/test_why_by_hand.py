"""Why here, why there, why not, what else, what a pin costs: figures from paper.

In `tiny` everything is served at beta for 328.84: alpha would open for 50 more and hold a server for 231.90.
"""

from pathlib import Path

import pytest
import tiny
from explain_scenes import HOW, PINS, SERVER, posed, with_text

from placement.explain.against import explain_pins
from placement.explain.forced import explain_next, explain_not_to
from placement.explain.here import explain_here
from placement.explain.why import UnknownNameError, explain_class

ALL_AT_ALPHA = 50 + SERVER + 17.52 + 0.4 * 13.14 + 15_768  # berlin is too far


def test_a_model_is_told_with_what_it_serves_how_busy_it_is_and_what_the_plan_costs_without_it(tmp_path: Path) -> None:
    """14 requests/s on two replicas of 10; without it alpha serves paris alone."""
    answer = explain_here(posed(tmp_path), "m8", "beta", HOW)
    (stands,) = answer.standing
    assert (stands.replicas, stands.gpus) == (2, 2.0)
    assert stands.busy == pytest.approx(0.7)
    assert [(s.cls.row.region, s.share, s.requests_per_s) for s in stands.serves] == [
        ("paris", pytest.approx(1), pytest.approx(8)),
        ("berlin", pytest.approx(1), pytest.approx(6)),
    ]
    assert answer.without is not None
    assert answer.without.more_usd == pytest.approx(ALL_AT_ALPHA - 328.84, abs=0.01)
    assert answer.without.served_share == pytest.approx(0.4)


def test_a_class_is_told_with_every_site_by_planned_latency(tmp_path: Path) -> None:
    """Paris: 10 + 50 ms at alpha, 30 + 50 at beta, which has 6 requests/s to spare.

    1,000 requests cost 0.01 GB x 0.05 = 0.0005 of egress and 17.52/10,512,000 of energy each.
    """
    answer = explain_class(posed(tmp_path), "paris")
    first, second = answer.choices
    assert (first.site, first.planned_ms, first.share, first.kept_out) == ("alpha", 60.0, 0.0, ())
    assert (second.site, second.planned_ms, second.share, second.state) == ("beta", 80.0, 1.0, "measured")
    assert second.usd_per_1000 == pytest.approx(0.0005 + 17.52 / 10_512)
    assert second.spare_requests_per_s == pytest.approx(6.0, abs=1e-3)
    assert first.spare_requests_per_s == 0.0


def test_an_inferred_pair_is_told_as_the_scenario_plans_it(tmp_path: Path) -> None:
    """An average of 140 ms, 100 at the least: up to 140 · 1.2 + 5 = 173 ms, half of the chance below √(100 · 173)."""
    average = {
        "measurements/averages.csv": "observed_at,source,target,method,received,rtt_min_ms,rtt_avg_ms\n"
        "2025-12-31T00:00:00Z,paris,alpha,imported:x,3,100,140\n",
        **tiny.edited("measurements/pairs.csv", "2025-12-31T00:00:00Z,paris,alpha,icmp,3,3,10;10;10\n", ""),
    }

    def alpha_ms(name: str, text: str) -> float | None:
        answer = explain_class(posed(tmp_path / name, {**average, **with_text(text)}), "paris")
        (alpha,) = [choice for choice in answer.choices if choice.site == "alpha"]
        assert alpha.state == "inferred"
        return alpha.planned_ms

    assert alpha_ms("upper", "") == pytest.approx(173 + 50)
    assert alpha_ms("half", "\n[uncertainty]\npercentile = 0.5\n") == pytest.approx(131.530 + 50)  # 131.5295, up


def test_the_rule_that_keeps_a_class_from_a_site_is_told_with_its_figures(tmp_path: Path) -> None:
    answer = explain_not_to(posed(tmp_path), ["berlin"], "alpha", HOW)
    assert answer.choice.kept_out == ("2 30.0 ms beyond the budget of 200 ms",)
    assert answer.forced is None


def test_a_pin_that_bans_is_a_rule_that_keeps_out(tmp_path: Path) -> None:
    answer = explain_not_to(posed(tmp_path, PINS), ["berlin"], "beta", HOW)
    assert answer.choice.kept_out == ("14 a pin bans m8",)


def test_where_no_rule_forbids_it_forcing_is_priced(tmp_path: Path) -> None:
    answer = explain_not_to(posed(tmp_path), ["paris"], "alpha", HOW)
    assert answer.choice.kept_out == ()
    assert answer.forced is not None
    assert answer.forced.more_usd == pytest.approx(50 + SERVER, abs=0.01)


def test_the_next_best_site_is_where_it_goes_when_the_first_is_banned(tmp_path: Path) -> None:
    answer = explain_next(posed(tmp_path), ["paris"], HOW)
    assert answer.banned == "beta"
    assert answer.without is not None
    assert answer.without.places == (("alpha", pytest.approx(1.0)),)
    assert answer.without.more_usd == pytest.approx(ALL_AT_ALPHA - 328.84, abs=0.01)


def test_every_pin_is_priced_against_the_plan_without_it(tmp_path: Path) -> None:
    """A replica at alpha costs 281.90; the ban at beta does not hold anything back once alpha's is there."""
    two = {"pins.csv": "model,site,min_replicas,max_replicas,reason\nm8,alpha,1,,example\nm8,beta,,2,example\n"}
    answer = explain_pins(posed(tmp_path, two), HOW)
    assert [(pin.site, pin.least, pin.most) for pin in answer.pins] == [("alpha", 1, None), ("beta", 0, 2)]
    assert [pin.price_usd for pin in answer.pins] == [pytest.approx(50 + SERVER, abs=0.01), pytest.approx(0, abs=0.01)]


@pytest.mark.parametrize("names", [["rome"], ["paris", "m9"], ["paris", "m8", "voice"]])
def test_a_class_that_nobody_asks_for_is_refused(names: list[str | None], tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError):
        explain_class(posed(tmp_path), *names)


def test_an_unknown_pair_is_told_as_unknown(tmp_path: Path) -> None:
    text = (tiny.FILES["measurements/pairs.csv"] or "").splitlines(keepends=True)
    case = posed(tmp_path, {"measurements/pairs.csv": "".join(line for line in text if "paris,alpha" not in line)})
    last = explain_class(case, "paris").choices[-1]
    assert (last.site, last.state, last.rtt_ms, last.kept_out) == ("alpha", "unknown", None, ("2 latency unknown",))
