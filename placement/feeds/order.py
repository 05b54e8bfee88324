"""In which order sites stand in for a class, for targets that go down an order (`priority`)."""

from collections import defaultdict
from collections.abc import Mapping

from placement.feeds.view import Class, View


def preferences(view: View) -> Mapping[Class, tuple[str, ...]]:
    """The sites that stand in for each class, the first choice first; its own sites are not among them.

    A site comes before another where the plan chooses it while the other stands. Where that leaves open which comes
    first, or where the plan splits what fails so that no order can say it, the site that takes more comes first, and of
    equal ones the lesser name.
    """
    chosen: dict[Class, dict[str, dict[str, int]]] = defaultdict(lambda: defaultdict(lambda: defaultdict(int)))
    for domain, rows in view.backups.items():
        for route in rows:
            chosen[route.region, route.model, route.service][domain][route.site] += route.share_ppb
    return {cls: _order(chosen[cls], view.domains, view.by_class.get(cls, {})) for cls in sorted(chosen)}


def _order(
    chosen: Mapping[str, Mapping[str, int]], domains: Mapping[str, frozenset[str]], own: Mapping[str, int]
) -> tuple[str, ...]:
    """The order of one class, from what each domain's failure sends where."""
    taken: dict[str, int] = defaultdict(int)
    for by_site in chosen.values():
        for site, share in by_site.items():
            taken[site] += share
    left = {site for site in taken if site not in own}
    before = {
        site: {
            other
            for domain, by_site in chosen.items()
            if site not in by_site and site not in domains[domain]
            for other in by_site
        }
        for site in left
    }
    order: list[str] = []
    while left:
        free = [site for site in left if not before[site] & left] or list(left)
        first = min(free, key=lambda site: (-taken[site], site))
        order.append(first)
        left.remove(first)
    return tuple(order)
