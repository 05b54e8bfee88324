"""Rates from a real Prometheus are those worked out by hand (telemetry_world), and what it refuses is told."""

import base64
import datetime as dt
import http.server
import ipaddress
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from placement.telemetry.config import Classes, Prometheus
from placement.telemetry.errors import TelemetryError
from placement.telemetry.mapping import mapping
from placement.telemetry.prometheus import hours_of_prometheus
from tests.servers import free_port
from tests.telemetry.prometheus_server import fill, openmetrics, prometheus
from tests.telemetry.telemetry_world import BEGIN_S, HOURS, METRIC, labels, minutes

FIRST_HOUR = BEGIN_S // 3600
ALL = range(FIRST_HOUR - 2, FIRST_HOUR + HOURS)
SECRET_HASH = "$2b$04$zhZ8MmOHZBwyehYu1SGaLOQJKY117SIEh//ynAKXKy6b0xepsSIqq"  # bcrypt of "secret"


def asked(url: str, classes: Classes | None = None, **other: object) -> pd.DataFrame:
    """The history of all hours."""
    if "query" not in other:
        other = {"template": "vllm", **other}
    source = Prometheus.model_validate({"url": url, **other})
    wanted, class_of = mapping(classes or Classes(), source.template)
    return hours_of_prometheus(source, wanted, class_of, ALL)


def rates(history: pd.DataFrame, region: str) -> dict[int, tuple[float, float, int]]:
    """(mean, peak, windows) by the hour of the day, to nine digits."""
    rows = history[history["region"] == region]
    return {
        row.observed_at.hour: (round(row.requests_per_s, 9), round(row.peak_requests_per_s, 9), row.windows)
        for row in rows.itertuples()
    }


def test_rates_are_summed_over_series_and_the_peak_is_that_of_five_minutes(prometheus_url: str) -> None:
    paris = rates(asked(prometheus_url), "paris")
    assert paris == dict.fromkeys((0, 1, 2, 3, 5), (2.5, 2.5, 12)) | {4: (3.0, 8.5, 12)}  # (11 x 2.5 + 8.5) / 12


def test_a_counter_that_begins_again_loses_no_request_and_an_hour_without_samples_has_no_row(
    prometheus_url: str,
) -> None:
    berlin = rates(asked(prometheus_url), "berlin")
    assert berlin == dict.fromkeys((0, 1, 2, 4, 5), (1.0, 1.0, 12))


@pytest.mark.parametrize("chunk_hours", [1, 4])
def test_hours_asked_for_in_pieces_are_the_same(prometheus_url: str, chunk_hours: int) -> None:
    pd.testing.assert_frame_equal(asked(prometheus_url, chunk_hours=chunk_hours), asked(prometheus_url))


def test_more_hours_than_one_answer_may_hold_are_asked_for_in_pieces(prometheus_url: str) -> None:
    source = Prometheus.model_validate({"url": prometheus_url, "template": "vllm", "chunk_hours": 10_000})
    wanted, class_of = mapping(Classes(), "vllm")
    long = range(FIRST_HOUR + HOURS - 12_000, FIRST_HOUR + HOURS)  # in one piece the server refuses: 11,000 points
    found = hours_of_prometheus(source, wanted, class_of, long)
    pd.testing.assert_frame_equal(found, asked(prometheus_url))


def test_a_selector_chooses_series(prometheus_url: str) -> None:
    found = asked(prometheus_url, selector='region="paris",finished_reason="length"')
    assert rates(found, "paris")[4] == (0.5, 0.5, 12)
    assert set(found["region"]) == {"paris"}


def test_an_hour_in_which_an_instance_was_not_scraped_is_too_little_or_absent_as_chosen(tmp_path: Path) -> None:
    counts = minutes([float(60 * j) for j in range(361)])
    away = [(at, count) for at, count in counts if not 10_800 <= at - BEGIN_S < 12_600]  # 03:00 to 03:30
    also = {"finished_reason": "length"}  # a series of an instance that is counted already
    samples = [
        (labels("paris", instance="a"), counts),
        (labels("paris", instance="b"), away),
        (labels("paris", instance="b", **also), away[60:]),
    ]
    with prometheus(tmp_path, fill(tmp_path, openmetrics(METRIC, samples))) as port:
        url = f"http://127.0.0.1:{port}"
        plain = rates(asked(url), "paris")
        guarded = rates(asked(url, min_instances_share=0.9), "paris")
        lax = rates(asked(url, min_instances_share=0.5), "paris")
    assert plain[3][0] < 0.8 * plain[2][0]  # half an hour of the second instance is lost
    assert set(guarded) == {0, 1, 2, 4, 5}
    assert {hour: plain[hour] for hour in guarded} == guarded
    assert lax == plain


def test_a_table_says_which_labels_are_which_class(prometheus_url: str, tmp_path: Path) -> None:
    table = tmp_path / "classes.csv"
    table.write_text("label:region,region,model,service\nparis,europe,big,talk\nberlin,europe,big,talk\n")
    found = asked(prometheus_url, Classes(table=table))
    assert rates(found, "europe")[0] == (3.5, 3.5, 12)
    assert set(found["region"]) == {"europe", "region=atlantis"}


def test_a_query_of_ones_own_with_fixed_names(prometheus_url: str) -> None:
    classes = Classes(model="model_name", fixed={"service": "all"})
    found = asked(prometheus_url, classes, query=f"rate({METRIC}[5m]) / 2")
    assert rates(found, "paris")[0] == (1.25, 1.25, 12)
    assert set(found["service"]) == {"all"}


def test_a_cluster_of_our_envoy_feed_is_its_class(tmp_path: Path) -> None:
    metric = "envoy_cluster_upstream_rq_completed"  # as Envoy writes it, without _total
    counts = minutes([float(60 * j) for j in range(121)])
    storage = fill(tmp_path, openmetrics(metric, [({"envoy_cluster_name": "paris/m8%2Fq4/chat"}, counts)]))
    with prometheus(tmp_path, storage) as port:
        found = asked(f"http://127.0.0.1:{port}", template="envoy")
    assert found[["region", "model", "service"]].drop_duplicates().to_numpy().tolist() == [["paris", "m8/q4", "chat"]]
    assert rates(found, "paris") == {0: (1.0, 1.0, 12), 1: (1.0, 1.0, 12)}


def test_tls_and_a_password_are_asked_of_the_real_server(tmp_path: Path) -> None:
    certificate(tmp_path)
    (tmp_path / "password").write_text("secret\n")
    (tmp_path / "wrong").write_text("guess\n")
    web = json.dumps(
        {
            "tls_server_config": {"cert_file": "cert.pem", "key_file": "key.pem"},
            "basic_auth_users": {"planner": SECRET_HASH},
        }
    )
    counts = minutes([float(60 * j) for j in range(121)])
    storage = fill(tmp_path, openmetrics(METRIC, [(labels("paris"), counts)]))
    with prometheus(tmp_path, storage, web) as port:
        url = f"https://127.0.0.1:{port}"
        options = {"ca_file": tmp_path / "cert.pem", "user": "planner", "password_file": tmp_path / "password"}
        assert rates(asked(url, **options), "paris")[0] == (1.0, 1.0, 12)
        with pytest.raises(TelemetryError, match="HTTP 401"):
            asked(url, **(options | {"password_file": tmp_path / "wrong"}))
        with pytest.raises(TelemetryError, match=r"CERTIFICATE_VERIFY_FAILED|certificate verify failed"):
            asked(url, user="planner", password_file=tmp_path / "password")


def certificate(folder: Path) -> None:
    """cert.pem and key.pem of 127.0.0.1, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "prometheus")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    plain = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "key.pem").write_bytes(key.private_bytes(*plain))


def test_a_server_that_is_down_is_named_with_the_mend() -> None:
    with pytest.raises(TelemetryError, match=r"127\.0\.0\.1.*refused.*check that it runs"):
        asked(f"http://127.0.0.1:{free_port()}")


def test_promql_that_is_wrong_is_told_in_the_servers_words(prometheus_url: str) -> None:
    with pytest.raises(TelemetryError, match=r"HTTP 400: .*parse error"):
        asked(prometheus_url, query="rate(")


def test_an_address_without_the_api_is_told(prometheus_url: str) -> None:
    with pytest.raises(TelemetryError, match="HTTP 404"):
        asked(prometheus_url + "/elsewhere")


def test_what_is_no_rate_is_refused(prometheus_url: str) -> None:
    with pytest.raises(TelemetryError, match="negative rates"):
        asked(prometheus_url, query=f"-rate({METRIC}[5m])")


@contextmanager
def answering(status: int, body: bytes, header: tuple[str, str] | None = None) -> Iterator[tuple[str, list[str]]]:
    """Something on loopback that answers every question alike, and the tokens it was shown."""
    shown: list[str] = []

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            shown.append(self.headers.get("Authorization", ""))
            self.send_response(status)
            if header:
                self.send_header(*header)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", shown
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (200, b"<html>", "no JSON"),
        (200, b'{"status":"success","data":{"resultType":"matrix","result":[', "no JSON"),
        (200, b'{"status":"success","warnings":["store 10.0.0.7 is away"],"data":{}}', "in part only.*10.0.0.7"),
        (200, b'{"status":"success","data":{"resultType":"vector","result":[]}}', "not series over time"),
        (200, b'{"status":"success","data":{"resultType":"matrix","result":[{"metric":{}}]}}', "no series"),
        (200, b"[]", r"\[\]"),
        (422, b'{"error":"query processing would load too many samples into memory"}', "chunk_hours smaller"),
        (503, b"busy", "HTTP 503: busy"),
    ],
)
def test_an_answer_that_is_not_whole_is_an_error_and_never_less_demand(status: int, body: bytes, told: str) -> None:
    with answering(status, body) as (url, _), pytest.raises(TelemetryError, match=told):
        asked(url)


def test_a_token_goes_to_whom_it_is_for_and_not_where_that_one_sends(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("opensesame\n")
    with (
        answering(200, b"{}") as (other, told_other),
        answering(307, b"", ("Location", f"{other}/api")) as (url, told),
        pytest.raises(TelemetryError, match="sends elsewhere"),
    ):
        asked(url, bearer_token_file=tmp_path / "token")
    assert (told, told_other) == (["Bearer opensesame"], [])


def test_basic_authentication_is_user_and_password(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("se:cret\n")
    with answering(401, b"") as (url, told), pytest.raises(TelemetryError, match="HTTP 401"):
        asked(url, user="planner", password_file=tmp_path / "password")
    assert base64.b64decode(told[0].removeprefix("Basic ")) == b"planner:se:cret"
