"""No bytes crash an importer, and none become a time or rate that is not above 0."""

import math
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from probes.importers import FORMATS, import_file
from probes.table import faults
from tests.reference import reference_data

SAMPLES = {
    "ping": (
        b"PING 1.1.1.1 (1.1.1.1) 56(84) bytes of data.\n[1594978465.914536] 64 bytes from 1.1.1.1: icmp_seq=1 ttl=57 "
        b"time=5.1 ms\nno answer yet for icmp_seq=2\n\n--- 1.1.1.1 ping statistics ---\n2 packets transmitted, "
        b"1 received, 50% packet loss, time 1ms\nrtt min/avg/max/mdev = 5.100/5.100/5.100/0.000 ms\n"
        b"Pinging x [1.1.1.1] with 32 bytes of data:\nReply from 1.1.1.1: bytes=32 time<1ms TTL=1\n"
        b"    Packets: Sent = 1, Received = 1, Lost = 0 (0% loss),\n"
    ),
    "ripe-atlas": (
        b'[{"type":"ping","prb_id":7,"timestamp":1740787200,"dst_addr":"1.1.1.1","sent":3,"rcvd":1,"min":5.1,"avg":5.1,'
        b'"result":[{"rtt":5.1},{"x":"*"},{"error":"no"},{"rtt":9,"dup":1}]},\n{"type":"traceroute","prb_id":8,'
        b'"timestamp":1740787200,"dst_addr":"1.1.1.1","result":[{"hop":1,"result":[{"from":"1.1.1.1","rtt":3.5}]}]}]'
    ),
    "iperf3": (
        b'{"start":{"connected":[{"local_host":"10.0.0.2","remote_host":"1.1.1.1"}],"timestamp":{"timesecs":1740787200},'
        b'"test_start":{"protocol":"UDP","reverse":1}},"intervals":[{"sum":{"bytes":5,"seconds":1}}],"end":{"streams":'
        b'[{"sender":{"min_rtt":5,"mean_rtt":6,"max_rtt":7},"receiver":{"bytes":3,"bits_per_second":24}}],'
        b'"sum":{"packets":9,"lost_packets":2,"bytes":5,"bits_per_second":40}}}'
    ),
    "native": (
        b"observed_at,source,target,method,sent,received,rtt_ms,mbps,direction\n"
        b"2025-03-01T00:00:00Z,a,b,icmp,2,1,5.1,3.5,up\n"
    ),
}
PIECES = [
    b"-", b"0", b"1e999", b"NaN", b"nan", b"null", b"-1", b"\xff", b"\x00", b'"', b"{", b"}", b"[", b"]", b"\n", b",",
    b"99999999999999999999", b"\xd9\xa3", b"true", b"\\ud800", b"time=", b"*", b";", b"\r",
]  # fmt: skip


def check(content: bytes, name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        path.write_bytes(content)
        os.utime(path, (1_700_000_000, 1_700_000_000))
        result = import_file(path, name, on_error="skip")
    assert faults(result.table) == []
    assert result.lost >= 0
    for row in result.table.to_pylist():
        figures = [*(row["rtt_ms"] or []), *(row[key] for key in row if key.startswith("rtt_m") and key != "rtt_ms")]
        assert all(figure is None or (math.isfinite(figure) and figure > 0) for figure in [*figures, row["mbps"]])


@pytest.mark.parametrize("name", sorted(FORMATS))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=300))
def test_arbitrary_bytes_never_crash_an_importer(name: str, content: bytes) -> None:
    check(content, name)


@pytest.mark.parametrize("name", sorted(SAMPLES))
@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_a_damaged_sample_never_gives_a_time_that_is_none(name: str, data: st.DataObject) -> None:
    content = bytearray(SAMPLES[name])
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(content)))
        length = data.draw(st.integers(0, 12))
        content[start : start + length] = data.draw(st.sampled_from(PIECES) | st.binary(max_size=4))
    check(bytes(content[: data.draw(st.integers(0, len(content)))] if data.draw(st.booleans()) else content), name)


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_the_samples_themselves_are_read(name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        path.write_bytes(SAMPLES[name])
        assert import_file(path, name).table.num_rows >= 1


def test_every_reference_file_read_as_every_format_is_told_and_never_crashes() -> None:
    folder = reference_data() / "measurement_formats"
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            for name in FORMATS:
                check(path.read_bytes(), name)
