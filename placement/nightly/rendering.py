"""The stage that renders the feeds, and reads them back."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from placement.nightly.faults import Fault
from placement.nightly.folders import file_sha256, files_of
from placement.nightly.journal import key_of

if TYPE_CHECKING:
    from placement.scenario import Scenario


def render(plan: Path, scenario: "Scenario", config: Path, into: Path) -> dict[str, Any]:
    """All feeds of the configuration, in the folder `feeds` of `into`.

    Raises:
        Fault: the configuration cannot be used, a target cannot be told this plan, was told another one, or would
            not take it.
    """
    from placement.feeds.addresses import AddressesError  # noqa: PLC0415
    from placement.feeds.compare import DifferentError  # noqa: PLC0415
    from placement.feeds.config import read_feeds_config  # noqa: PLC0415
    from placement.feeds.failover import BrokenPromiseError  # noqa: PLC0415
    from placement.feeds.feed import FeedError  # noqa: PLC0415
    from placement.feeds.kubernetes.crds import CrdFaultsError  # noqa: PLC0415
    from placement.feeds.rendering import render_feeds  # noqa: PLC0415
    from probes.document import DocumentError  # noqa: PLC0415

    folder = into / "feeds"
    folder.mkdir()
    try:
        wanted = read_feeds_config(config)
        render_feeds(plan, scenario, wanted, folder)
    except (DifferentError, BrokenPromiseError, CrdFaultsError) as error:
        raise Fault("audit_failed", str(error)) from error
    except AddressesError as error:
        raise Fault("bad_feed", "\n".join(str(finding) for finding in error.findings)) from error
    except (DocumentError, FeedError) as error:
        raise Fault("bad_feed", str(error)) from error
    files = files_of(folder)
    return {"targets": list(wanted.targets), "files": len(files), "bytes": sum(path.stat().st_size for path in files)}


def configuration_sha256(config: Path) -> str:
    """The hash of a feeds' configuration, and of the addresses that it names.

    Raises:
        Fault: it cannot be used.
    """
    from placement.feeds.config import read_feeds_config  # noqa: PLC0415
    from probes.document import DocumentError  # noqa: PLC0415

    try:
        addresses = read_feeds_config(config).addresses
    except DocumentError as error:
        raise Fault("bad_feed", str(error)) from error
    return key_of([file_sha256(config), None if addresses is None else file_sha256(addresses)])
