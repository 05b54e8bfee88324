"""A small storm of malformed inputs; `python -m bench.probing.fuzz_collector` is the large one."""

from pathlib import Path

from bench.probing.fuzz_collector import Inputs, collector_for, in_process, over_https, verify


def test_the_same_seed_gives_inputs_of_every_kind() -> None:
    one, other = Inputs(3), Inputs(3)
    one._at_ns = other._at_ns = 10**18
    one._template = other._template
    bodies = [one.body() for _ in range(300)]
    assert len(set(bodies)) > 200
    assert [body[:2] == b"\x1f\x8b" for body in bodies].count(False) > 10


def test_malformed_bodies_leave_only_sound_rows(tmp_path: Path) -> None:
    tally = in_process(Inputs(11), 3000, tmp_path)
    assert tally.sent == 3000 and tally.statuses[500] == 0
    assert min(tally.statuses[200], tally.statuses[400]) > 500 and tally.accepted > 500


def test_a_real_collector_weathers_a_storm(tmp_path: Path) -> None:
    with collector_for(tmp_path) as collector:
        tally = over_https(2000, collector, 11)
        assert tally.sent == 2000
        counted = verify(collector, tally)
    assert counted['refused_total{reason="unknown_token"}'] > 10
