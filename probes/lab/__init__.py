"""A network of many hosts and PoPs on one machine, for tests, benches and trials: namespaces and a link emulator.

    from probes.lab import Host, Lab, Link, Pop

    pops = [Pop("fra", "10.78.0.1", "fd78::1"), Pop("syd", "10.78.0.2", link=Link(rtt_ms=280, loss=0.01))]
    with Lab([Host("berlin", "10.10.0.1"), Host("collector", "10.10.0.2")], pops, default=Link(rtt_ms=20)) as lab:
        server = lab.run("fra", ["iperf3", "-s", "-B", "10.78.0.1"])
        lab.run("berlin", ["ping", "-c", "3", "10.78.0.2"]).wait()
        lab.set_link("berlin", "fra", Link(rtt_ms=20, rate_mbps=100, queue_kbyte=500))
        lab.down("collector")                               # and lab.up("collector")
        sent = lab.call("berlin", some_function, "10.78.0.1")  # in a fork of this process; lab.open_socket(...)
        lab.truth().path("berlin", "syd").lost

Every `Host` has a network namespace of its own; all PoPs share one, where the kernel answers echo requests for each of
their addresses and where servers bind to the address of their PoP. One process carries every packet from namespace to
namespace and does to it what its `Link` says. Works as root, and without root where the kernel allows user namespaces.
No name and no file is made: everything goes when the `with` ends, or with the process that made it.
See docs/lab.md for figures and limits.
"""

from probes.lab.lab import Lab
from probes.lab.network import Host, LabError, Link, Pop
from probes.lab.truth import Path, Truth

__all__ = ["Host", "Lab", "LabError", "Link", "Path", "Pop", "Truth"]
