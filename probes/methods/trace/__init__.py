"""Traceroute in the manner of Paris: each series of probes is one flow, so that routers choose one path for it.

UDP needs no privilege (errors come from the socket's error queue), nor does TCP (one `connect` after another) or ICMP
where datagram sockets are allowed; with raw sockets TCP's probes go side by side. Varied flows show paths of equal
cost. Round trips are from kernel timestamps. A router that does not answer, or seldom, is no loss: see `path`.
"""

from probes.methods.endpoint import Endpoint
from probes.methods.trace.path import Answer, Flow, Hop, Label, Path
from probes.methods.trace.prober import Kind, prober
from probes.methods.trace.series import Plan, Series, run
from probes.wire.stamping import stamped
from probes.wire.watch import Watch

__all__ = ["Answer", "Flow", "Hop", "Label", "Path", "measure"]


def measure(
    endpoint: Endpoint,
    *,
    source: str,
    protocol: Kind = "udp",
    flows: int = 1,
    probes: int = 3,
    max_ttl: int = 30,
    gap: int = 5,
    timeout_s: float = 1.0,
    interval_s: float = 0.5,
    rate_per_s: float = 100.0,
    raw: bool | None = None,
) -> Path:
    """The path to the endpoint as `flows` flows see it, `probes` probes a hop; what fails is told in the Path.

    `gap` silent hops in a row end a series. `interval_s` lies between two rounds over the hops: many routers write a
    few ICMP errors a second and no more. `rate_per_s` bounds all probes together. `raw` is for TCP: None takes raw
    sockets where they are allowed, False never, True raises PermissionError where they are not.
    UDP goes to the endpoint's port, 33434 where it has none; TCP needs one. Raises ValueError for figures out of range.
    """
    _check(flows, probes, max_ttl, gap, timeout_s, interval_s)
    watch = Watch()
    series: list[Series] = []
    errors: list[str] = []
    try:
        for _ in range(flows):
            try:
                series.append(Series(prober(protocol, endpoint, raw), endpoint.address, endpoint.family))
            except PermissionError:
                raise
            except OSError as error:
                errors.append(error.strerror or str(error))
        # a SYN that is not answered is sent again after a second: the answer to which of the two would it be?
        wait_s = min(timeout_s, 0.9) if protocol == "tcp" else timeout_s
        with stamped():
            run(series, Plan(probes, max_ttl, gap, wait_s, interval_s, rate_per_s), watch)
        watch.look()
        found = tuple(one.flow() for one in series)
        errors += [one.error for one in series if one.error is not None]
    finally:
        for one in series:
            one.prober.close()
    started_ns = watch.first.realtime_ns
    return Path(endpoint, protocol, source, started_ns, found, watch.steady, tuple(dict.fromkeys(errors)))


def _check(flows: int, probes: int, max_ttl: int, gap: int, timeout_s: float, interval_s: float) -> None:
    wrong = [
        f"{name} = {value}: must be {least} to {most}"
        for name, value, least, most in (
            ("flows", flows, 1, 256),
            ("probes", probes, 1, 100),
            ("max_ttl", max_ttl, 1, 255),
            ("gap", gap, 1, 255),
            ("timeout_s", timeout_s, 0.001, 60),
            ("interval_s", interval_s, 0, 3600),
        )
        if not least <= value <= most
    ]
    if wrong:
        raise ValueError("; ".join(wrong))
