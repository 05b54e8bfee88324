"""What the commands of `nearserve publish` share: where the store is, what it trusts, and how it fails."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from placement.cli.common import Exit, Failure

if TYPE_CHECKING:
    from placement.publish.config import PublishConfig
    from placement.publish.generation import Generation
    from placement.publish.store import Store

Command = TypeVar("Command", bound=Callable[..., Any])

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)

_STORE = (
    click.option(
        "--store",
        "root",
        envvar="NEARSERVE_STORE",
        required=True,
        type=click.Path(file_okay=False, path_type=Path),
        help="Folder of the generations, by NEARSERVE_STORE too; programs read below DIR/current.",
        metavar="DIR",
    ),
    click.option("--settings", metavar="publish.toml", type=FILE, help="Keys, etcd and retention; flags override it."),
    click.option("--allowed-signers", metavar="FILE", type=FILE, help="Whose signatures count (ssh-keygen(1))."),
    click.option("--identity", metavar="NAME", help="Who of those must have signed, as nightly@example.org."),
    click.option("--etcd", "endpoints", metavar="URL", multiple=True, help="Agree with other hosts there; repeatable."),
    click.option("--etcd-key", metavar="KEY", help="The key in etcd that holds which generation is current."),
)
_SWITCH = (
    click.option("--by", metavar="NAME", help="Who does it, for the ledger.  [default: the user]"),
    click.option("--reason", metavar="TEXT", default="", help="Why, for the ledger."),
    click.option("--take-over", is_flag=True, help="Go on from here though etcd knows another store's generation."),
    click.option("--accept-clock", is_flag=True, help="Go on though the ledger's last entry is from later than now."),
)


def store_options(command: Command) -> Command:
    """Where the store is, and what it trusts: `root` and what `settings_of` takes."""
    for option in reversed(_STORE):
        command = option(command)
    return command


def switch_options(command: Command) -> Command:
    """`by`, `reason`, `take_over` and `accept_clock`."""
    for option in reversed(_SWITCH):
        command = option(command)
    return command


def retention_options(command: Command) -> Command:
    """`keep` and `keep_days`."""
    days = click.option("--keep-days", type=click.FloatRange(min=0), help="Keep what was published within these days.")
    keep = click.option("--keep", type=click.IntRange(min=1), help="Keep the newest N.  [default: 14]", metavar="N")
    return keep(days(command))


def settings_of(
    settings: Path | None,
    *,
    allowed_signers: Path | None,
    identity: str | None,
    endpoints: tuple[str, ...],
    etcd_key: str | None,
    sign: Path | None = None,
    builder: str | None = None,
    keep: int | None = None,
    keep_days: float | None = None,
) -> "PublishConfig":
    """The file's settings, overridden by the flags. Raises Failure."""
    from placement.publish.config import PublishConfig, read_publish_config  # noqa: PLC0415
    from placement.publish.etcd import Etcd  # noqa: PLC0415
    from placement.publish.provenance import Builder  # noqa: PLC0415
    from placement.publish.signature import Signer, Trust  # noqa: PLC0415

    with failures():
        found = PublishConfig() if settings is None else read_publish_config(settings)
    if allowed_signers or identity:
        file = allowed_signers or (found.trust and found.trust.allowed_signers)
        name = identity or (found.trust and found.trust.identity)
        if not file or not name:
            raise Failure(Exit.USAGE, "give --allowed-signers and --identity together")
        found = replace(found, trust=Trust(file, name, found.trust.revoked if found.trust else None))
    if endpoints or etcd_key:
        url, key = endpoints or (found.etcd and found.etcd.endpoints), etcd_key or (found.etcd and found.etcd.key)
        if not url or not key:
            raise Failure(Exit.USAGE, "give --etcd and --etcd-key together")
        known = found.etcd or Etcd(url, key)
        found = replace(found, etcd=replace(known, endpoints=url, key=key))
    kept = found.retention
    kept = replace(kept, keep=keep or kept.keep, days=kept.days if keep_days is None else keep_days)
    return replace(
        found,
        signer=Signer(sign) if sign else found.signer,
        builder=Builder(builder) if builder else found.builder,
        retention=kept,
    )


def opened(root: Path, settings: Path | None, **given: Any) -> "Store":
    """The store with its settings."""
    return settings_of(settings, **given).store(root)


@contextmanager
def failures() -> Iterator[None]:
    """What can go wrong with a store, as the contract's exit codes."""
    from placement.publish import errors  # noqa: PLC0415
    from probes.document import DocumentError  # noqa: PLC0415

    try:
        yield
    except (errors.LockedError, errors.StaleError) as error:
        raise Failure(Exit.STALE, str(error)) from error
    except errors.TamperedError as error:
        raise Failure(Exit.AUDIT_FAILED, str(error), {"findings": list(error.findings)}) from error
    except errors.UnansweredError as error:
        raise Failure(Exit.NO_ANSWER, str(error)) from error
    except (errors.NotAStoreError, errors.UnknownGenerationError, errors.CannotWriteError) as error:
        raise Failure(Exit.USAGE, str(error)) from error
    except (errors.StoreError, DocumentError) as error:
        raise Failure(Exit.BAD_DATA, str(error)) from error


def user() -> str:
    """Who runs this, for the ledger; "" where nobody can tell."""
    import getpass  # noqa: PLC0415

    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""


def as_json(generation: "Generation") -> dict[str, Any]:
    """A generation as a JSON object."""
    return {
        "number": generation.number,
        "name": generation.name,
        "folder": str(generation.folder),
        "created_at": generation.created_at.isoformat(),
        "content_key": generation.content_key,
        "manifest_sha256": generation.manifest_sha256,
        "facts": dict(generation.facts),
    }
