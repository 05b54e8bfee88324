"""The folder that `nearserve feed` writes: whole or not at all, and told by its index that it is one."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from placement.feeds.rendering import FEEDS_INDEX
from placement.plan.folder import atomic_folder
from placement.publish.durable import sync_tree


@contextmanager
def feeds_folder(target: Path, *, replace: bool) -> Iterator[Path]:
    """As `atomic_folder`, of a folder of feeds: what it may replace holds feeds.json. Raises PlanExistsError."""
    with atomic_folder(target, replace=replace, mark=FEEDS_INDEX, kind="feeds", sync=sync_tree) as folder:
        yield folder
