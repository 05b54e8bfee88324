"""The plain tables: what they hold, by hand; every figure read back; files that say something else are refused."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from placement.feeds.feed import FeedError, Options
from placement.feeds.tables import SHARES, UNSERVED, Csv, Json
from placement.feeds.view import Route
from tests.feeds.feed_world import ROUTES, failed, view
from tests.feeds.random_views import expected, shuffled, views

FEEDS = [Csv(Options()), Json(Options())]
AWKWARD = st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1, max_size=6)


def test_the_csv_files_of_a_small_plan_by_hand() -> None:
    files = Csv(Options()).render(view())
    assert files["routes.csv"].decode().splitlines() == [
        "region,model,service,site,shape,share_ppb",
        "berlin,m70,batch,ams,m70-x2,995000000",
        "berlin,m8,chat,ams,m8-half,300000000",
        "berlin,m8,chat,fra,m8-half,600000000",
        "berlin,m8,chat,fra,m8-whole,100000000",
        "lagos,m8,chat,los,m8-half,1000000000",
    ]
    assert files["unserved.csv"] == b"region,model,service,share_ppb\nberlin,m70,batch,5000000\n"
    assert files["replicas.csv"].splitlines()[4] == b"fra,m8-whole,bank,m8,rtx-pro-6000-se,4,1"
    assert files["servers.csv"].splitlines()[3] == b"fra,rtx-4,bank,rtx-pro-6000-se,4,1"
    assert files["jobs.csv"].splitlines()[1] == b"tune-1,finetune,m8,rtx-pro-6000-se,4,ams,,true"


def test_a_class_that_is_not_served_at_all_stands_in_full_among_the_unserved() -> None:
    lost = failed("metro-los")
    assert b"lagos,m8,chat,1000000000\n" in Csv(Options()).render(lost)["unserved.csv"]
    document = json.loads(Json(Options()).render(lost)["plan-tables.json"])
    assert document["unserved"][-1] == {"region": "lagos", "model": "m8", "service": "chat", "share_ppb": 10**9}
    assert document["moment"] == {"period": "", "slice": "", "failure": "metro-los"}


@pytest.mark.parametrize("feed", FEEDS, ids=lambda feed: feed.name)
@settings(max_examples=40, deadline=None)
@given(seen=views(AWKWARD))
def test_every_figure_is_read_back_exactly_and_the_order_of_rows_is_nothing(feed: Csv | Json, seen) -> None:
    files = feed.render(seen)
    assert feed.read(files) == {fact: expected(seen, fact) for fact in feed.says}
    assert feed.render(shuffled(seen)) == files


@pytest.mark.parametrize("feed", FEEDS, ids=lambda feed: feed.name)
def test_a_figure_that_was_changed_is_read_as_it_stands(feed: Csv | Json) -> None:
    rows = [row._replace(share_ppb=row.share_ppb + (500 if row.site == "ams" else -500)) for row in ROUTES[1:3]]
    said = feed.read(feed.render(view(routes=(ROUTES[0], *rows, *ROUTES[3:]))))
    assert said[SHARES]["berlin", "m8", "chat", "ams", "m8-half"] * 10**9 == 300_000_500
    assert said != feed.read(feed.render(view()))


@pytest.mark.parametrize(
    ("file", "old", "new", "reason"),
    [
        ("routes.csv", b"300000000", b"300000001", "berlin/m8/chat: 1000000001 ppb are routed or unserved"),
        ("routes.csv", b"300000000", b"3e8", "routes.csv: row 3: invalid literal"),
        ("replicas.csv", b",5\n", b",-5\n", "replicas.csv: row 3: count is -5, and no whole number above 0"),
        ("servers.csv", b"site,server", b"server,site", "servers.csv: has not the columns site,server,"),
        ("jobs.csv", b",true", b",true,", "jobs.csv: row 2: zip() argument 2 is longer"),
    ],
)
def test_csv_that_says_no_such_table_is_refused_by_row(file: str, old: bytes, new: bytes, reason: str) -> None:
    feed = Csv(Options())
    files = dict(feed.render(view()))
    files[file] = files[file].replace(old, new, 1)
    with pytest.raises(FeedError) as told:
        feed.read(files)
    assert reason in str(told.value)


def test_a_missing_file_is_named() -> None:
    with pytest.raises(FeedError, match=r"routes\.csv: is missing"):
        Csv(Options()).read({k: v for k, v in Csv(Options()).render(view()).items() if k != "routes.csv"})
    with pytest.raises(FeedError, match=r"plan-tables\.json: holds no tables"):
        Json(Options()).read({})


def test_shares_are_of_what_is_served() -> None:
    said = Json(Options()).read(
        Json(Options()).render(view(routes=(Route("berlin", "m8", "chat", "ams", "m8-half", 1),)))
    )
    assert said[SHARES] == {("berlin", "m8", "chat", "ams", "m8-half"): 1}
    assert said[UNSERVED]["berlin", "m8", "chat"] * 10**9 == 10**9 - 1
