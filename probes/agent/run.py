"""From a configuration file to a running agent: privileges first, then files, then threads."""

import codecs
import importlib
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from probes import privileges
from probes.agent.allow import Refusal, refusal_of
from probes.agent.config import Config, packets, unreadable_files, unused
from probes.agent.log import Log
from probes.agent.sources import Sources
from probes.agent.spool import Spool, Tell
from probes.agent.tally import Ended, Tally
from probes.document import DocumentError
from probes.reading import BadRecord

if TYPE_CHECKING:
    from probes.agent.metrics import Metrics
    from probes.agent.uplink import Uplink


STOP_UPLOAD_S: Final = 0.4
"""How long the uplink may go on at the end; what it does not get through waits for the next start."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What an agent with this configuration would do.

    `sending`: the share of the time that it sends, at its rate; above 1 rounds will be missed. `refusals`: targets
    given by address that it may not measure.
    """

    agent: str
    source: str
    targets: int
    methods: dict[str, int]
    unused: dict[str, int]
    sending: float
    refusals: dict[str, Refusal]


def check(path: Path) -> Plan:
    """Reads and checks everything, opens nothing and sends nothing; raises DocumentError with every fault."""
    sources = Sources(path)
    config = sources.config
    _user(config, path)
    counts = {name: sum(name in target.ports for target in sources.targets) for name in config.methods.used}
    return Plan(
        agent=config.agent,
        source=config.source,
        targets=len(sources.targets),
        methods=counts,
        unused=unused(config, sources.targets),
        sending=_sending(sources),
        refusals=_refusals(sources),
    )


def run(path: Path, once: bool = False) -> Ended:
    """Runs the agent until it is told to stop, or once through its targets; how that ended.

    Raises DocumentError, PrivilegeError, SpoolLockedError, OSError (spool folder, metrics port), TooManyHungError.
    """
    sources = Sources(path)
    _load(sources.config)
    _give_up_root(sources)
    from probes.agent.loop import Agent  # noqa: PLC0415
    from probes.agent.metrics import Metrics  # noqa: PLC0415
    from probes.agent.signals import Signals  # noqa: PLC0415

    config = sources.config
    boot_id = str(uuid.uuid4())
    tell = Log(config.agent, boot_id)
    if os.geteuid() == 0:
        tell("stays_root", why="there is nobody else in this user namespace, or CAP_SETUID is missing", capabilities=0)
    signals = Signals()
    spool = Spool(sources.resolved(config.spool.path), config.spool.max_bytes, config.agent, boot_id, tell)
    metrics = Metrics(spool.counts)
    if config.metrics.port is not None:
        metrics.serve(config.metrics.port)
    tell("started", source=config.source, targets=len(sources.targets), methods=list(config.methods.used))
    with _uplink(sources, spool, metrics, tell, drain_s=30.0 if once else STOP_UPLOAD_S) as uplink:
        agent = Agent(sources, spool, metrics, tell)
        if once:
            agent.run_once(signals)
        else:
            agent.run(signals)
    spool.flush()
    counts = spool.counts()
    spool.close()
    tell("stopped", waiting=counts.depth, held=counts.held, dropped=counts.dropped, lost=counts.lost)
    delivered = None if uplink is None else uplink.counts.accepted + uplink.counts.replayed
    return Ended(len({target.name for target in sources.targets}), agent.tally or Tally(), counts, delivered)


@contextmanager
def _uplink(
    sources: Sources, spool: Spool, metrics: "Metrics", tell: Tell, drain_s: float
) -> Iterator["Uplink | None"]:
    """The way to the collector, while the agent measures; without a collector records wait in the spool."""
    part = sources.config.collector
    if part is None:
        yield None
        return
    from probes.agent.uplink import Settings, Uplink  # noqa: PLC0415

    def path(text: str | None) -> Path | None:
        return None if text is None else sources.resolved(text)

    settings = Settings(
        part.url,
        sources.config.agent,
        authority=path(part.authority),
        certificate=path(part.certificate),
        key=path(part.key),
        token_file=path(part.token_file),
    )
    uplink = Uplink(settings, spool, tell)
    metrics.watch_uplink(lambda: uplink.counts)
    uplink.start()
    try:
        yield uplink
    finally:
        uplink.close(drain_s)


def _load(config: Config) -> None:
    """Imports what will run while files of root can still be read, and without the threads of a linear algebra."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from probes.agent.measuring import MODULES  # noqa: PLC0415

    uplink = ("probes.agent.uplink",) if config.collector else ()
    for module in ("probes.agent.loop", *uplink, *(name for method in config.methods.used for name in MODULES[method])):
        importlib.import_module(module)
    for codec in ("idna", "ascii", "latin-1"):  # getaddrinfo, ssl and http.client look these up at their first use
        codecs.lookup(codec)


def _give_up_root(sources: Sources) -> None:
    """Becomes the configured user, with no more than CAP_NET_RAW and that only where ICMP needs it."""
    config = sources.config
    user = _user(config, sources.path)
    groups = user.groups if user else (os.getgid(), *os.getgroups())
    keep_net_raw = config.methods.icmp is not None and not privileges.datagram_icmp_allowed(groups)
    privileges.own_folder(sources.resolved(config.spool.path).parent, user)
    if user is not None:
        privileges.drop(user, keep_net_raw)
    else:
        privileges.shed(keep_net_raw)
    if unreadable := unreadable_files(config, sources.path):
        raise DocumentError(unreadable)
    if config.methods.icmp is not None and not privileges.may_echo():
        mend = "allow the agent's group in net.ipv4.ping_group_range, or give CAP_NET_RAW, or leave out [methods.icmp]"
        why = "this user may open neither datagram nor raw ICMP sockets"
        raise DocumentError([BadRecord(str(sources.path), 0, "methods.icmp", "", why, mend)])


def _user(config: Config, path: Path) -> privileges.User | None:
    """Whom to become: the configured user where we are root and can, nobody else otherwise."""
    if not privileges.can_become_another():
        return None
    if config.user is None:
        why = "is missing, and the agent was started as root"
        raise DocumentError([BadRecord(str(path), 0, "user", "", why, "name the user that it shall become")])
    try:
        return privileges.find_user(config.user)
    except privileges.PrivilegeError as error:
        raise DocumentError([BadRecord(str(path), 0, "user", config.user, str(error), "name another user")]) from error


def _sending(sources: Sources) -> float:
    """Packets that the rounds want a second, as a share of what the agent may send."""
    config = sources.config
    wanted = sum(
        packets(name, method) / method.interval_s / target.every
        for name, method in config.methods.used.items()
        for target in sources.targets
        if name in target.ports
    )
    return wanted / config.rates.packets_per_s


def _refusals(sources: Sources) -> dict[str, Refusal]:
    """Targets given by address that the allowlist refuses; names are only known at their lookup."""
    found = {}
    for target in sources.targets:
        for port in target.ports.values():
            try:
                refusal = refusal_of(target.host, port, sources.config.allow.policy)
            except ValueError:
                break
            if refusal is not None:
                found[target.name] = refusal
    return found
