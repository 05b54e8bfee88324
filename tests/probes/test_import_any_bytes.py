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
        b'[{"type":"ping","prb_id":7,"timestamp":1740787200,"dst_addr":"1.1.1.1","sent":3,"rcvd":1,"min":5.1,'
        b'"avg":5.1,'
        b'"result":[{"rtt":5.1},{"x":"*"},{"error":"no"},{"rtt":9,"dup":1}]},\n{"type":"traceroute","prb_id":8,'
        b'"timestamp":1740787200,"dst_addr":"1.1.1.1","result":[{"hop":1,"result":[{"from":"1.1.1.1","rtt":3.5}]}]}]'
    ),
    "iperf3": (
        b'{"start":{"connected":[{"local_host":"10.0.0.2","remote_host":"1.1.1.1"}],'
        b'"timestamp":{"timesecs":1740787200},'
        b'"test_start":{"protocol":"UDP","reverse":1}},"intervals":[{"sum":{"bytes":5,"seconds":1}}],'
        b'"end":{"streams":'
        b'[{"sender":{"min_rtt":5,"mean_rtt":6,"max_rtt":7},"receiver":{"bytes":3,"bits_per_second":24}}],'
        b'"sum":{"packets":9,"lost_packets":2,"bytes":5,"bits_per_second":40}}}'
    ),
    "fping": (
        b"[1700000000.12345] a : [0], 64 bytes, 5.1 ms (5.1 avg, 0% loss)\na : [1], timed out (5.1 avg, 50% loss)\n"
        b"a : duplicate for [0], 64 bytes, 6.0 ms [<- 1.1.1.1]\n\na : xmt/rcv/%loss = 2/1/50%, min/avg/max = "
        b"5.1/5.1/5.1\n"
        b"localhost (127.0.0.1) : 0.05 - 1.234e+06\nb is alive (0.05 ms)\nc is unreachable\nd: Name or "
        b"service not known\n"
        b"ICMP Host Unreachable from 1.1.1.1 for ICMP Echo sent to c\n[09:33:32]\ne : xmt/rcv/%loss = 4/3/25%, "
        b"min/avg/max = 0.1/0.2/0.3\ne : xmt/rcv/%return = 5/6/120%\n"
        b'{"resp": {"host": "f", "seq": 0, "size": 64, "rtt": 5.12}}\n{"timeout": {"host": "f", "seq": 1}}\n'
        b'{"vSum": {"host": "g", "values": [0.5, null]}}\n{"intSum": {"time": 1733560000,"host": "h", "xmt": '
        b'3, "rcv": 3}}\n'
    ),
    "scamper": (
        b'{"UUID":"u"}\n{"type":"cycle-start", "id":1}\n{"type":"ping", "method":"icmp-echo", "src":"10.0.0.1", '
        b'"dst":"1.1.1.1", "start":{"sec":1740787200,"usec":5}, "ping_sent":3, "responses":[{"from":"1.1.1.1",'
        b' "seq":0, '
        b'"rtt":5.1, "icmp_type":0, "icmp_code":0},{"from":"10.0.0.9", "seq":1, "rtt":1.1, "icmp_type":11}],'
        b'"statistics":'
        b'{"replies":1, "loss":0.67}}\n{"type":"trace", "dst":"1.1.1.1", "start":{"sec":1740787200,"usec":5}, '
        b'"attempts":2,'
        b'"stop_reason":"COMPLETED", "hops":[{"addr":"1.1.1.1", "probe_ttl":4, "probe_id":2, "rtt":7.5, '
        b'"icmp_type":3, '
        b'"icmp_code":3}]}\n{"type":"dealias"}\n'
    ),
    "perfsonar": (
        b'[{"path": ["ps", "throughput", "K"], "is_valid": 1, "ts": 1382995070000, "val": 7283024174},'
        b'{"ts":1397421672,"val":'
        b'[{"event-type":"histogram-rtt","val":{"0.33":3}},{"event-type":"packet-loss-rate","val":{"numerator":1,'
        b'"denominator":5}}]},{"event-type":"packet-count-sent","ts":1397421672,"val":9},'
        b'{"event-type":"packet-count-lost","ts":1397421672,"val":2'
        b'},{"schedule":{"start":"2016-11-30T00:13:00-05:00"},"participants":["a"],"test":{"type":"rtt",'
        b'"spec":{"dest":"b"}},'
        b'"result":{"succeeded":true,"sent":2,"received":1,"roundtrips":[{"ip":"1.1.1.1","seq":1,'
        b'"rtt":"PT0.000333S"},'
        b'{"seq":2}]}},{"succeeded":true,"paths":[[{"ip":"1.1.1.1","rtt":"PT0.02S"}]]},'
        b'{"test":{"type":"throughput","spec":{}},'
        b'"result":{"succeeded":true,"summary":{"summary":{"throughput-bits":1e8,"sent":10,"lost":1}}}}]'
    ),
    "ndt7": (
        b'{"ServerIP":"203.0.113.1","ClientIP":"192.0.2.7","StartTime":"2020-03-18T00:13:52.496385213Z",'
        b'"Upload":{"StartTime":'
        b'"2020-03-18T00:13:52.496385765Z","ServerMeasurements":[{"TCPInfo":{"MinRTT":173733,"RTT":180805,'
        b'"BytesReceived":'
        b'3356080,"ElapsedTime":10000111}}]},"Download":{"ServerMeasurements":null,"ClientMeasurements":[{"AppInfo":'
        b'{"NumBytes":5,"ElapsedTime":7}}]}}'
    ),
    "blackbox": (
        b"HTTP/1.0 200 OK\r\nDate: Sat, 21 Nov 2026 19:18:40 GMT\r\n\r\n# TYPE probe_success gauge\nprobe_success 1\n"
        b'probe_icmp_duration_seconds{phase="rtt"} 6.6328e-05\nprobe_ip_protocol 4\n'
        b'probe_success{instance="https://a:443/x"} 0 '
        b'1700000000000\nprobe_http_status_code{instance="https://a:443/x"} 500 '
        b'1700000000000\nprobe_http_duration_seconds{instance="https://a:443/x",phase="connect"} 0.02 1700000000000\n'
    ),
    "smokeping": (
        b'smokeping_requests_total{host="a",ip="1.1.1.1"} 18\n'
        b'smokeping_response_duration_seconds_bucket{host="a",ip="1.1.1.1",le="0.1"} 9\n'
        b'smokeping_response_duration_seconds_bucket{host="a",ip="1.1.1.1",le="+Inf"} 15\n'
        b'smokeping_response_duration_seconds_sum{host="a",ip="1.1.1.1"} 2.03\n'
        b'smokeping_response_duration_seconds_count{host="a",ip="1.1.1.1"} 15\n# EOF\n'
    ),
    "native": (
        b"observed_at,source,target,method,sent,received,rtt_ms,mbps,direction\n"
        b"2025-03-01T00:00:00Z,a,b,icmp,2,1,5.1,3.5,up\n"
    ),
}
PIECES = [
    b"-", b"0", b"1e999", b"NaN", b"nan", b"null", b"-1", b"\xff", b"\x00", b'"', b"{", b"}", b"[", b"]", b"\n", b",",
    b"99999999999999999999", b"\xd9\xa3", b"true", b"\\ud800", b"time=", b"*", b";", b"\r", b" : ", b"+Inf", b"PT0S",
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


def test_every_format_has_a_sample_to_damage() -> None:
    assert SAMPLES.keys() == FORMATS.keys()


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
