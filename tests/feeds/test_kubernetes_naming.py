"""Names that Kubernetes takes: what fits stays, what does not gets one of its own, and no two meet unseen."""

import re
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from placement.feeds.feed import FeedError
from placement.feeds.kubernetes.naming import Unique, dns_label, label_value
from tests.feeds.kubernetes_views import NAMES

DNS_LABEL = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")


@pytest.mark.parametrize(
    ("parts", "name"),
    [
        (("fra",), "fra"),
        (("m8", "fra"), "m8--fra"),
        (("m8-half", ""), "m8-half"),
        (("m8", "70"), "m8--70"),  # only what begins a name must begin with a letter
    ],
)
def test_names_that_fit_stay_as_they_are(parts: tuple[str, ...], name: str) -> None:
    assert dns_label(*parts) == name


@pytest.mark.parametrize(
    ("parts", "left"),
    [
        (("70b",), "n-70b"),
        (("Llama 3.1",), "llama-3-1"),
        (("llama-3.1",), "llama-3-1"),
        (("x97ebbe71",), "x97ebbe71"),  # looks like the end of one that was made
        (("a--b",), "a-b"),
        (("a" * 70,), "a" * 52),
        (("東京",), "n"),
    ],
)
def test_of_other_names_stays_what_can_and_eight_digits_tell_them_apart(parts: tuple[str, ...], left: str) -> None:
    assert re.fullmatch(f"{left}--x[0-9a-f]{{8}}", dns_label(*parts))


@given(st.lists(NAMES, min_size=1, max_size=3), st.integers(20, 63))
def test_every_name_is_one_that_kubernetes_takes(parts: list[str], longest: int) -> None:
    assert DNS_LABEL.fullmatch(dns_label(*parts, longest=longest))
    assert len(dns_label(*parts, longest=longest)) <= longest
    assert LABEL_VALUE.fullmatch(label_value(parts[0]))


PARTS = st.lists(st.text("ab-.x9A", min_size=1, max_size=4), min_size=1, max_size=3).map(tuple)


@given(st.lists(PARTS, max_size=40, unique=True))
def test_different_names_stay_different(several: list[tuple[str, ...]]) -> None:
    assert len({dns_label(*parts) for parts in several}) == len(several)


def test_where_two_names_meet_all_the_same_the_feed_refuses() -> None:
    """Of 2^17 ways to write a word in capitals and not, two have the same eight digits."""
    seen: dict[str, str] = {}
    for letters in product(*((c, c.upper()) for c in "abcdefghijklmnopq")):
        word = "".join(letters)
        first = seen.setdefault(dns_label.__wrapped__(word), word)
        if first != word:
            break
    else:
        pytest.fail("no two names met")
    unique = Unique("sites")
    unique(first)
    assert unique(first) == dns_label(word)
    with pytest.raises(FeedError, match=f"{first} and {word} would both be called"):
        unique(word)
