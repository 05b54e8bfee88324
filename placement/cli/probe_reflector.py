"""nearserve probe reflector: the far end of measurements."""

import json
import os
from pathlib import Path
from typing import Any

import click

from placement.cli.common import Exit, Failure, format_option


@click.command(
    "reflector",
    epilog="Example: nearserve probe reflector --listen 203.0.113.7 --key-file /etc/nearserve/reflector.key",
)
@click.option("--config", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="TOML; flags override it.")
@click.option("--listen", multiple=True, metavar="ADDRESS", help="Address to answer on; repeatable.  [0.0.0.0, ::]")
@click.option("--stamp-port", type=click.IntRange(0, 65_535), help="UDP; 0 is any free one.  [862]")
@click.option("--train-port", type=click.IntRange(0, 65_535), help="TCP and UDP; 0 is any free one.  [8862]")
@click.option("--ndt7/--no-ndt7", default=None, help="Serve NDT7 too.  [no]")
@click.option("--ndt7-port", type=click.IntRange(0, 65_535), help="TCP; 0 is any free one.  [8444]")
@click.option("--ndt7-certificate", type=click.Path(dir_okay=False), help="Of the NDT7 server, PEM.")
@click.option("--ndt7-key", type=click.Path(dir_okay=False), help="The certificate's private key, PEM.")
@click.option("--ndt7-plain", is_flag=True, default=None, help="Serve NDT7 in the clear, without a certificate.")
@click.option("--key-file", type=click.Path(dir_okay=False), help="Keys, one a line: answer only who has one of them.")
@click.option("--textfile", type=click.Path(dir_okay=False), help="Prometheus text file with the counts.")
@click.option("--metrics-port", type=click.IntRange(1, 65_535), help="Show the counts on 127.0.0.1 at this port.")
@click.option("--user", help="Whom to become when started as root.  [nobody]")
@format_option
def command(config: Path | None, output_format: str, **flags: Any) -> None:
    """Answer STAMP probes and packet trains, and serve NDT7 where asked to.

    No reply is larger than its request, each source has a limit, and a train is sent only where its receiver has
    proven to be. SIGHUP reads the key file again, SIGTERM ends.
    """
    # numpy's algebra would start threads, and rights are given up thread by thread
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from probes.log import to_stderr  # noqa: PLC0415
    from probes.privileges import PrivilegeError  # noqa: PLC0415
    from probes.reflector.run import StartError, open_sockets, run  # noqa: PLC0415
    from probes.wire.keys import KeyFileError  # noqa: PLC0415

    to_stderr(limited=True)  # strangers cause lines: they must not fill the disk
    wanted = _configured(config, flags)
    try:
        sockets = open_sockets(wanted)
    except StartError as error:
        raise Failure(Exit.STALE, str(error)) from error
    listening = sockets.addresses()

    def ready() -> None:
        if output_format == "json":
            click.echo(json.dumps(listening))  # a line: who started this reads on while it runs
        else:
            for service, places in listening.items():
                click.echo(f"{service}: {', '.join(places)}")

    try:
        run(wanted, sockets, ready)
    except (KeyFileError, StartError, PrivilegeError) as error:
        raise Failure(Exit.BAD_DATA, str(error)) from error
    finally:
        sockets.close()


def _configured(path: Path | None, flags: dict[str, Any]) -> Any:
    """The file's configuration, or the default one, with the flags over it."""
    from probes.document import DocumentError, validated  # noqa: PLC0415
    from probes.reflector.config import ReflectorConfig, read_config  # noqa: PLC0415

    try:
        base = read_config(path) if path else ReflectorConfig()
    except DocumentError as error:
        raise Failure(Exit.BAD_DATA, str(error)) from error
    values = base.model_dump()
    places = {
        "listen": (values, "listen"),
        "key_file": (values, "key_file"),
        "user": (values, "user"),
        "stamp_port": (values["stamp"], "port"),
        "train_port": (values["train"], "port"),
        "ndt7": (values["ndt7"], "enabled"),
        "ndt7_port": (values["ndt7"], "port"),
        "ndt7_certificate": (values["ndt7"], "certificate"),
        "ndt7_key": (values["ndt7"], "key"),
        "textfile": (values["metrics"], "textfile"),
        "metrics_port": (values["metrics"], "port"),
    }
    for flag, (table, key) in places.items():
        if flags[flag] not in (None, ()):
            table[key] = flags[flag]
    if flags["ndt7_plain"]:
        values["ndt7"] |= {"tls": False}
    found, faults = validated(ReflectorConfig, values, "the flags")
    if found is None:
        raise Failure(Exit.USAGE, str(DocumentError(faults)))
    return found
