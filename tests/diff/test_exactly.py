"""From a solver's shares to whole parts."""

from hypothesis import given
from hypothesis import strategies as st

from placement.diff.exactly import whole

SHARES = 10**9


def test_what_a_solver_says_below_nothing_and_above_all_is_put_right() -> None:
    assert whole({("a", "s"): 1 + 3e-9, ("b", "s"): -3e-9}) == {("a", "s"): SHARES}
    assert whole({("a", "s"): 0.5, ("b", "s"): 0.5 + 7e-9}) == {("a", "s"): SHARES // 2, ("b", "s"): SHARES // 2}
    assert whole({("a", "s"): 1e-10}) == {}


@given(st.dictionaries(st.tuples(st.text(max_size=1), st.just("s")), st.floats(-1e-8, 1 + 1e-8), max_size=5))
def test_shares_are_positive_and_at_most_a_billion_in_all(shares: dict[tuple[str, str], float]) -> None:
    total = max(sum(shares.values()), 1.0)
    found = whole({way: share / total for way, share in shares.items()})
    assert all(share > 0 for share in found.values())
    assert sum(found.values()) <= SHARES
