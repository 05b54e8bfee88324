"""Random plans as feeds see them, and what feeds should say of them, worked out row by row."""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

from hypothesis import strategies as st

from placement.feeds.feed import Fact, Key
from placement.feeds.view import (
    BILLION,
    Address,
    Addresses,
    Job,
    Region,
    Replicas,
    Route,
    Servers,
    Service,
    Shape,
    Site,
    View,
)
from tests.feeds.feed_world import view

LABELS = st.from_regex(r"[a-z][a-z0-9]{0,5}", fullmatch=True)
COUNTRIES = [a + b for a in "ABCDEFGH" for b in "KLMNOP"]


@st.composite
def views(draw: st.DrawFn, names: st.SearchStrategy[str] = LABELS, unserved: bool = True) -> View:
    """A view of one to four sites, regions, models, shapes and services; each region has a country of its own."""

    def few(most: int = 4) -> list[str]:
        return sorted(draw(st.lists(names, min_size=1, max_size=most, unique=True)))

    sites, regions, models, services = few(), few(), few(2), few(2)
    shape_names = [f"{model} {size}" for model in models for size in (2, 8)]
    shapes = {
        name: Shape(name, name.rpartition(" ")[0], "gpu", int(name[-1]), "fp8", None, None) for name in shape_names
    }
    classes = tuple((r, m, s) for r in regions for m in models for s in services if draw(st.booleans()))
    routes = [row for key in classes for row in _routes(draw, key, sites, shapes, unserved)]
    places = sorted({(row.site, row.shape) for row in routes})
    return replace(
        view(),
        plan_sha256=f"{draw(st.integers(0, 2**64)):064x}",
        sites={name: Site(name, name, "NL", 0.0, 0.0, ()) for name in sites},
        regions={name: Region(name, name, COUNTRIES[j], 0.0, 0.0, None) for j, name in enumerate(regions)},
        shapes=shapes,
        services={name: Service(name, name, 100.0) for name in services},
        servers=tuple(Servers(name, "box", "", "gpu", 8, draw(st.integers(1, 10**12))) for name in sites),
        replicas=tuple(
            Replicas(*place, tenant, draw(st.integers(1, 10**12))) for place in places for tenant in ("", "t")
        ),
        routes=tuple(sorted(routes)),
        jobs=tuple(Job(name, "finetune", "m", "gpu", 8, sites[0], ("day", "night"), False) for name in few()),
        backups={},
        domains={},
        policy=None,
        addresses=Addresses({(name, ""): (Address(f"127.0.2.{j + 1}", 8000),) for j, name in enumerate(sites)}),
        classes=classes,
    )


def _routes(draw: st.DrawFn, key: Key, sites: list[str], shapes: dict[str, Shape], unserved: bool) -> list[Route]:
    """Shares of a class that end anywhere on the line from 0 to 10^9."""
    mine = [(site, name) for site in sites for name, shape in shapes.items() if shape.model == key[1]]
    places = draw(st.lists(st.sampled_from(mine), min_size=1, max_size=4, unique=True))
    ends = st.integers(1, BILLION) | st.integers(1, 10**3).map(lambda n: n * 10**6)
    cuts = sorted(draw(st.lists(ends, min_size=len(places), max_size=len(places), unique=True)))
    if not unserved:
        cuts[-1] = BILLION
    shares = [end - begin for begin, end in zip([0, *cuts], cuts, strict=False)]
    return [Route(*key, *place, share) for place, share in zip(places, shares, strict=True)]


def expected(seen: View, fact: Fact) -> dict[Key, Fraction | int]:
    """What the view says of the fact: sums over its rows, one at a time."""
    if fact.what == "servers":
        return _sums(fact, [vars(row) for row in seen.servers], lambda row: row["count"])
    if fact.what in {"replicas", "quarter_gpus"}:
        rows = [{**vars(seen.shapes[row.shape]), **vars(row)} for row in seen.replicas]
        quarters = fact.what == "quarter_gpus"
        return _sums(fact, rows, lambda row: row["count"] * (row["quarter_gpus"] if quarters else 1))
    routed = [row._asdict() for row in seen.routes]
    served = _sums(Fact("unserved", ("region", "model", "service")), routed, lambda row: row["share_ppb"])
    if fact.what == "unserved":
        return {key: Fraction(BILLION - total, BILLION) for key, total in served.items() if total < BILLION}
    sent = _sums(fact, routed, lambda row: row["share_ppb"])
    return {key: Fraction(ppb, served[key[:3]]) for key, ppb in sent.items()}


def _sums(fact: Fact, rows: list[dict[str, str]], figure: Callable[..., int]) -> dict[Key, Fraction | int]:
    found: dict[Key, Fraction | int] = {}
    for row in rows:
        key = tuple(row[name] for name in fact.by)
        found[key] = found.get(key, 0) + figure(row)
    return found


def shuffled(seen: View) -> View:
    """The same plan with its rows the other way round."""
    turned = {
        name: tuple(reversed(getattr(seen, name))) for name in ("servers", "replicas", "routes", "jobs", "classes")
    }
    for name in ("sites", "regions", "shapes", "services"):
        turned[name] = dict(reversed(getattr(seen, name).items()))
    return replace(seen, **turned)
