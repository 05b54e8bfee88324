"""Windows by hand, frames however they are cut, TCP_INFO's layout, iperf3 where it is and where it is not."""

import itertools
import socket
import struct
import subprocess
import time
from pathlib import Path
from shutil import which

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.methods import iperf3
from probes.methods.endpoint import Endpoint
from probes.methods.windows import Windows
from probes.table import faults, to_table
from probes.wire.ndt7 import report
from probes.wire.tcp_info import decode, tcp_info
from probes.wire.websocket import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    Frame,
    FrameError,
    FrameReader,
    Load,
    header,
    masked,
)

MS = 1_000_000


def fed(*points: tuple[int, int]) -> Windows:
    windows = Windows()
    for at_ms, total in points:
        windows.add(at_ms * MS, total)
    return windows


def test_a_window_takes_its_own_length_and_two_that_agree_settle_the_rate() -> None:
    windows = fed((0, 1000), (400, 500_000), (500, 626_000), (900, 1_000_000), (1100, 1_376_000), (1600, 2_001_000))
    # 625,000 bytes in 0.5 s; 750,000 in 0.6 s; 625,000 in 0.5 s: 10 Mbit/s each
    assert windows.mbps == pytest.approx((10.0, 10.0, 10.0))
    assert windows.settled and windows.rate_mbps == pytest.approx(10.0)


def test_agreement_is_three_percent_of_the_greater() -> None:
    assert fed((0, 0), (500, 970_500), (1000, 1_970_500)).settled
    assert not fed((0, 0), (500, 969_500), (1000, 1_969_500)).settled
    assert not fed((0, 0), (500, 0), (1000, 0)).settled


def test_slow_start_is_left_out_where_nothing_settles() -> None:
    # 1, 4, 10, 14 and 12 Mbit/s: slow start ends with the window of 10, the first that reaches half of 14
    totals = [0, 62_500, 312_500, 937_500, 1_812_500, 2_562_500]
    windows = fed(*((500 * number, total) for number, total in enumerate(totals)))
    assert windows.mbps == pytest.approx((1, 4, 10, 14, 12))
    assert not windows.settled and windows.rate_mbps == pytest.approx(12.0)
    assert fed((0, 0), (499, 10**6)).rate_mbps is None


@given(st.lists(st.tuples(st.integers(1, 700), st.integers(0, 10**7)), max_size=40))
def test_windows_lose_no_byte(steps: list[tuple[int, int]]) -> None:
    windows, at_ms, total, edges = Windows(), 0, 0, []
    for step_ms, size in steps:
        at_ms, total = at_ms + step_ms, total + size
        if windows.add(at_ms * MS, total) or not edges:
            edges.append((at_ms, total))
    moved = sum(rate * (b[0] - a[0]) * 125 for rate, a, b in zip(windows.mbps, edges, edges[1:], strict=False))
    assert moved == pytest.approx(edges[-1][1] - edges[0][1] if edges else 0)
    assert all(b[0] - a[0] >= 500 for a, b in itertools.pairwise(edges))


def cut(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({min(one, len(data)) for one in cuts} | {0, len(data)})
    return [data[a:b] for a, b in itertools.pairwise(places)]


messages = st.lists(
    st.one_of(
        st.tuples(st.just(BINARY), st.binary(max_size=300) | st.sampled_from([bytes(70_000)])),
        st.tuples(st.just(TEXT), st.text(max_size=300).map(str.encode)),
        st.tuples(st.sampled_from([PING, PONG]), st.binary(max_size=125)),
        st.tuples(st.just(CLOSE), st.just(b"\x03\xe8")),
    ),
    max_size=8,
)


@given(messages, st.lists(st.integers(0, 3000), max_size=10), st.binary(min_size=4, max_size=4) | st.none())
def test_frames_are_the_same_however_they_are_cut(
    sent: list[tuple[int, bytes]], cuts: list[int], mask: bytes | None
) -> None:
    data = b"".join(header(op, len(body), mask) + (masked(body, mask) if mask else body) for op, body in sent)
    reader = FrameReader(from_client=mask is not None)
    got = [frame for piece in cut(data, cuts) for frame in reader.feed(piece)]
    assert got == [Frame(op, body) for op, body in sent if op != BINARY]
    assert reader.binary_bytes == sum(len(body) for op, body in sent if op == BINARY)
    assert reader.owed == 0


def test_fragments_make_one_text_and_control_frames_may_stand_between_them() -> None:
    data = b"\x01\x03one" + b"\x89\x01p" + b"\x00\x03two" + b"\x80\x01!" + b"\x02\x02ab" + b"\x80\x03cde"
    reader = FrameReader(from_client=False)
    got = [frame for byte in data for frame in reader.feed(bytes([byte]))]
    assert got == [Frame(PING, b"p"), Frame(TEXT, b"onetwo!")]
    assert reader.binary_bytes == 5


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\x80\x01a", "goes on that never began"),
        (b"\x01\x01a\x01\x01b", "begins inside of another"),
        (b"\x09\x00", "fragmented"),
        (b"\x81\x7f" + (1 << 17).to_bytes(8, "big"), "more than 65536 bytes"),
        (b"\x01\x7e\xff\xff" + bytes(65_535) + b"\x80\x02ab", "more than 65536 bytes"),
        (b"\x02\x7f" + (1 << 24).to_bytes(8, "big") + bytes(1 << 24) + b"\x80\x01a", "more than 16777216 bytes"),
        (b"\x82\x80abcd", "a server's frame is masked"),
    ],
)
def test_what_the_protocol_forbids_is_named(data: bytes, said: str) -> None:
    with pytest.raises(FrameError, match=said):
        FrameReader(from_client=False).feed(data)


@given(st.lists(st.binary(max_size=40), max_size=12), st.booleans())
def test_any_bytes_give_frames_or_an_error(pieces: list[bytes], from_client: bool) -> None:
    reader = FrameReader(from_client)
    try:
        for piece in pieces:
            for frame in reader.feed(piece):
                assert frame.opcode in {TEXT, CLOSE, PING, PONG}
    except FrameError:
        return
    assert 0 <= reader.binary_bytes <= sum(map(len, pieces)) and reader.owed >= 0


def test_load_grows_with_what_was_sent_and_is_framed_for_its_side() -> None:
    for masks in (False, True):
        load, reader, sizes = Load(masks=masks), FrameReader(from_client=masks), []
        for _ in range(200):
            sizes.append(load.size)
            assert reader.feed(bytes(load.next())) == []
        assert reader.binary_bytes == load.sent == sum(sizes[1:]) + load.size
        assert sizes[0] == 1 << 13 and sizes[-1] == 1 << 18
        assert sizes == sorted(sizes)


@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_no_text_breaks_the_reader_of_measurements(text: bytes) -> None:
    told = report(text)
    assert told is None or told.elapsed_us is None or told.elapsed_us >= 0


def test_a_measurement_falls_back_to_what_tcp_says() -> None:
    """As M-Lab's own server writes it in an upload: no AppInfo."""
    told = report(
        b'{"TCPInfo":{"ElapsedTime":404700,"BytesReceived":31472,"RTT":178239,"MinRTT":177843,"BytesRetrans":0}}'
    )
    assert told is not None
    assert (told.elapsed_us, told.received, told.rtt_us, told.min_rtt_us) == (404_700, 31_472, 178_239, 177_843)
    odd = report(b'{"AppInfo":{"ElapsedTime":-1,"NumBytes":true},"TCPInfo":[1]}')
    assert odd is not None and odd.elapsed_us is None and odd.received is None


def test_tcp_info_is_read_at_the_kernels_offsets() -> None:
    raw = bytearray(232)
    struct.pack_into("=II", raw, 68, 12_345, 678)
    struct.pack_into("=I", raw, 100, 2)
    struct.pack_into("=I", raw, 148, 0xFFFFFFFF)
    info = decode(bytes(raw))
    assert (info.rtt_us, info.rtt_var_us, info.total_retrans, info.min_rtt_us) == (12_345, 678, 2, None)
    old = decode(bytes(raw[:104]))
    assert (old.rtt_us, old.bytes_acked, old.bytes_retrans) == (12_345, None, None)
    with pytest.raises(ValueError, match="too old"):
        decode(bytes(100))
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as client:
        server, _ = listener.accept()
        with server:
            client.sendall(bytes(10_000))
            got = 0
            while got < 10_000:
                got += len(server.recv(10_000))
            told = tcp_info(server)
            assert told.bytes_received == 10_000 and told.min_rtt_us is not None
            assert tcp_info(client).bytes_sent == 10_000


def test_iperf3_that_is_not_there_is_told_with_the_mend() -> None:
    with pytest.raises(iperf3.NoIperf3Error, match="iperf3-none is not installed here: install the package iperf3"):
        iperf3.measure(Endpoint("pop", "127.0.0.1"), direction="down", source="here", binary="iperf3-none")


def program(folder: Path, text: str) -> str:
    """A program that stands for iperf3: what is tested is how it is called and how its output is read."""
    path = folder / "iperf3"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_iperf3_is_called_by_arguments_and_read_as_its_files_are(tmp_path: Path) -> None:
    said = '{"start":{"connected":[{"local_host":"10.0.0.1","remote_host":"10.0.0.2"}],"test_start":{"reverse":1}},'
    said += '"end":{"sum_received":{"bytes":117500000,"bits_per_second":9.4e7,"seconds":10}}}'
    binary = program(tmp_path, f"echo \"$@\" > {tmp_path}/arguments; echo '{said}'")
    there = Endpoint("pop", "10.0.0.2", 5999)
    record = iperf3.measure(there, direction="down", source="here", omit_s=1, congestion="bbr", binary=binary)
    arguments = (tmp_path / "arguments").read_text().strip()
    wanted = "--json --client 10.0.0.2 --port 5999 --time 10 --omit 1 --reverse --congestion bbr"
    assert arguments == wanted
    assert (record.mbps, record.bytes, record.direction, record.loaded) == (94.0, 117_500_000, "down", True)
    assert (record.source, record.target, record.target_alias, record.error) == ("here", "pop", "10.0.0.2", None)
    assert abs(record.observed_at - time.time_ns()) < 60 * 10**9
    assert not faults(to_table([record]))


def test_what_iperf3_says_of_a_failure_is_the_records_error(tmp_path: Path) -> None:
    there = Endpoint("pop", "127.0.0.1", 9)
    binary = program(tmp_path, "echo 'iperf3: unknown option' >&2; exit 1")
    record = iperf3.measure(there, direction="up", source="here", binary=binary)
    assert (record.error, record.mbps) == ("iperf3: unknown option", None)
    if which("iperf3"):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            closed = taken.getsockname()[1]
        refused = iperf3.measure(Endpoint("pop", "127.0.0.1", closed), direction="up", source="here", seconds=1)
        assert refused.error is not None and "Connection refused" in refused.error


@pytest.mark.skipif(which("iperf3") is None, reason="the peer tool; the method itself is tested without it above")
def test_the_real_iperf3_measures_loopback() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    server = subprocess.Popen(["iperf3", "-s", "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(50):
            record = iperf3.measure(Endpoint("pop", "127.0.0.1", port), direction="down", source="here", seconds=1)
            if record.error is None:
                break
            time.sleep(0.1)
    finally:
        server.kill()
        server.wait()
    assert record.error is None and record.mbps is not None and record.mbps > 10
    assert not faults(to_table([record]))
