"""Files of every moment and every failure, read back from the disk and compared; and a feed of one's own."""

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from placement.datasets import datasets_folder
from placement.feeds import registry
from placement.feeds.addresses import read_addresses
from placement.feeds.compare import DifferentError, compared
from placement.feeds.config import FeedsConfig, feeds_config, read_feeds_config
from placement.feeds.envoy import Envoy, EnvoyOptions
from placement.feeds.envoy_bootstrap import Bootstrap
from placement.feeds.failover import BrokenPromiseError
from placement.feeds.feed import FeedError, Files, Options
from placement.feeds.rendering import in_failure, read_files, render_feeds
from placement.feeds.view import Addresses, Moment
from placement.feeds.views import open_plan
from placement.scenario import Scenario
from probes.document import DocumentError

Plan = tuple[Path, Scenario]


def config(plan: Plan, **targets: Options) -> FeedsConfig:
    return FeedsConfig(targets, plan[0].parent / "addresses.csv")


def test_every_failure_has_the_files_that_differ_and_with_them_says_what_the_plan_says(
    three_sites_plan: Plan, tmp_path: Path
) -> None:
    wanted = config(three_sites_plan, envoy=EnvoyOptions(), csv=Options())
    rendered = render_feeds(*three_sites_plan, wanted, tmp_path)
    assert [(feed.target, feed.failover, feed.slices) for feed in rendered.feeds] == [
        ("envoy", "planned", ("",)),
        ("csv", "planned", ("",)),
    ]
    folder = tmp_path / "envoy" / "all"
    index = json.loads((folder / "failures.json").read_bytes())
    assert index["metro-alpha"] == {"differ": ["eds/paris/chat@m8.json"], "gone": []}
    assert index["metro-beta"] == {"differ": [], "gone": []}, "nothing of it runs at beta on a normal day"
    failing = json.loads((folder / "failures/metro-alpha/eds/paris/chat@m8.json").read_bytes())
    zones = {entry["locality"]["zone"] for entry in failing["resources"][0]["endpoints"]}
    assert zones == {"beta", "gamma"}
    views = open_plan(*three_sites_plan, wanted_addresses(wanted, three_sites_plan))
    feed = Envoy(EnvoyOptions())
    for domain in views.failures:
        assert compared(views.at(Moment(failure=domain)), feed.read(in_failure(folder, domain)), feed.says)


def wanted_addresses(wanted: FeedsConfig, plan: Plan) -> Addresses:
    assert wanted.addresses is not None
    return read_addresses(wanted.addresses, plan[1])


def bootstrap() -> Bootstrap:
    return Bootstrap(folder="/srv/current", watch="/srv")


@pytest.mark.parametrize("options", [EnvoyOptions(), EnvoyOptions(bootstrap=bootstrap())], ids=["class", "region"])
def test_a_failure_made_from_what_it_touches_is_the_same_as_one_made_from_everything(
    options: EnvoyOptions, two_sites_plan: Plan, tmp_path: Path
) -> None:
    wanted = config(two_sites_plan, envoy=options)
    render_feeds(*two_sites_plan, wanted, tmp_path)
    views = open_plan(*two_sites_plan, wanted_addresses(wanted, two_sites_plan))
    whole = [
        dict(Envoy(options).render(views.at(Moment(failure=domain)))) == in_failure(tmp_path / "envoy/all", domain)
        for domain in ("metro-alpha", "metro-beta")
    ]
    assert whole == [True, True]
    lost = json.loads(in_failure(tmp_path / "envoy/all", "metro-beta")["eds/berlin/chat@m8.json"])
    assert lost["resources"][0]["endpoints"] == [], "who has nobody else is told so, and not sent to what is down"


def test_files_are_made_for_the_failures_that_are_asked_for(three_sites_plan: Plan, tmp_path: Path) -> None:
    some = config(three_sites_plan, envoy=EnvoyOptions(failures=("metro-gamma",)))
    assert render_feeds(*three_sites_plan, some, tmp_path / "some").feeds[0].failures == ("metro-gamma",)
    assert [path.name for path in (tmp_path / "some/envoy/all/failures").iterdir()] == ["metro-gamma"]
    wrong = config(three_sites_plan, envoy=EnvoyOptions(failures=("metro-gama",)))
    with pytest.raises(FeedError, match=r"'metro-gama' may fail\. Did you mean 'metro-gamma'"):
        render_feeds(*three_sites_plan, wrong, tmp_path / "wrong")


def test_failures_that_would_fill_the_disk_are_refused(
    three_sites_plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("placement.feeds.rendering.MOST_BYTES", 600)
    with pytest.raises(FeedError, match="name in failures the domains"):
        render_feeds(*three_sites_plan, config(three_sites_plan, csv=Options()), tmp_path)


def test_the_same_plan_gives_the_same_bytes(three_sites_plan: Plan, tmp_path: Path) -> None:
    wanted = config(three_sites_plan, envoy=EnvoyOptions(), csv=Options(), json=Options())
    for name in ("one", "two"):
        render_feeds(*three_sites_plan, wanted, tmp_path / name)
    one, two = (
        {
            path.relative_to(tmp_path / name): path.read_bytes()
            for path in (tmp_path / name).rglob("*")
            if path.is_file()
        }
        for name in ("one", "two")
    )
    assert one == two
    assert len(one) > 10


def test_every_slice_has_a_folder(sliced_plan: Plan, tmp_path: Path) -> None:
    rendered = render_feeds(*sliced_plan, config(sliced_plan, envoy=EnvoyOptions()), tmp_path)
    assert rendered.feeds[0].slices == ("day", "night")
    assert rendered.feeds[0].failover is None
    assert sorted(path for path, _ in read_files(tmp_path / "envoy" / "night")) == [
        "eds/berlin/chat@m8.json",
        "eds/paris/chat@m8.json",
    ]
    assert not (tmp_path / "envoy" / "night" / "failures.json").exists()


class Liar(Envoy):
    """Writes of a region that the plan does not know."""

    def render(self, view: object) -> Files:
        files = dict(super().render(view))  # type: ignore[arg-type]
        return {**files, "eds/more.json": next(iter(files.values())).replace(b"berlin", b"berline")}


class Wanderer(Envoy):
    """Writes where it has no business."""

    def render(self, view: object) -> Files:
        return {"../plan.json": b"", "failures/x": b"", "a//b": b"", "good": b""}


@pytest.mark.parametrize(
    ("feed", "kind", "told"), [(Liar, DifferentError, "nothing"), (Wanderer, FeedError, r"'a//b'")]
)
def test_what_differs_from_the_plan_or_leaves_its_folder_is_refused(
    feed: type[Envoy],
    kind: type[FeedError],
    told: str,
    sliced_plan: Plan,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("placement.feeds.config.feed_class", lambda _: feed)
    with pytest.raises(kind, match=told) as raised:
        render_feeds(*sliced_plan, config(sliced_plan, envoy=EnvoyOptions()), tmp_path / "out")
    assert raised.value.reasons[0].startswith("envoy: ")
    assert not (tmp_path / "plan.json").exists()


def test_every_reason_of_every_target_is_told_and_the_gravest_kind_raised(
    three_sites_plan: Plan, tmp_path: Path
) -> None:
    stubborn = EnvoyOptions(failover="proportional")
    wanted = replace(config(three_sites_plan, envoy=stubborn, csv=Options()), addresses=None)
    with pytest.raises(BrokenPromiseError, match="envoy: failing over by proportional breaks the plan"):
        render_feeds(*three_sites_plan, wanted, tmp_path)
    lacking = replace(config(three_sites_plan, envoy=EnvoyOptions()), addresses=None)
    with pytest.raises(FeedError) as raised:
        render_feeds(*three_sites_plan, lacking, tmp_path)
    assert [reason.partition(":")[2] for reason in raised.value.reasons] == [
        f" site {site} has no address for the model m8: add a line to the table of addresses"
        for site in ("alpha", "gamma")
    ]


CONFIG = """
targets = ["envoy", "envoi", "csv", "envoy"]
addresses = "nowhere.csv"
[envoy]
drop_unserved = "yes"
[csv]
failover = "priority"
[jsn]
"""


def test_a_configuration_tells_all_its_faults(tmp_path: Path) -> None:
    path = tmp_path / "feeds.toml"
    path.write_text(CONFIG)
    with pytest.raises(DocumentError) as raised:
        read_feeds_config(path)
    told = str(raised.value)
    for part in (
        "targets.1 = 'envoi': no feed has this name",
        "Did you mean 'envoy'?",
        "[envoy]: drop_unserved",
        "failover = 'priority': the target cannot be told this way of failing over; it can be told: planned",
        "jsn",
        "addresses = 'nowhere.csv': there is no such file",
    ):
        assert part in told, told
    with pytest.raises(DocumentError, match="targets"):
        feeds_config({"targets": []}, tmp_path, "nightly.toml")


@pytest.fixture
def own_feed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The package of docs/feeds.md, installed as pip would: its module, and its entry point."""
    page = (datasets_folder().parent / "docs" / "feeds.md").read_text()
    code = re.search(r"```python\n(.*?)```", page, re.DOTALL)
    entry = re.search(r'```toml\n\[project.entry-points."nearserve.feeds"\]\n(.*?)```', page, re.DOTALL)
    assert code is not None
    assert entry is not None
    site = tmp_path / "site"
    about = site / "nearserve_weights-1.0.dist-info"
    about.mkdir(parents=True)
    (site / "nearserve_weights.py").write_text(code[1])
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: nearserve-weights\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[nearserve.feeds]\n" + entry[1].replace('"', ""))
    monkeypatch.syspath_prepend(site)
    registry._found.cache_clear()
    yield
    registry._found.cache_clear()
    sys.modules.pop("nearserve_weights", None)


@pytest.mark.usefixtures("own_feed")
def test_a_feed_of_ones_own_is_rendered_and_compared_like_any_other(three_sites_plan: Plan, tmp_path: Path) -> None:
    assert "weights" in registry.feed_names()
    wanted = feeds_config({"targets": ["weights"], "weights": {"separator": " "}}, tmp_path, "feeds.toml")
    rendered = render_feeds(*three_sites_plan, wanted, tmp_path / "out")
    assert rendered.feeds[0].failover == "planned"
    lines = (tmp_path / "out/weights/all/failures/metro-alpha/paris.txt").read_text().splitlines()
    assert [line.split()[:4] for line in lines] == [["paris", "m8", "chat", site] for site in ("beta", "gamma")]
