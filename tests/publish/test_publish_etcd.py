"""Several hosts, one etcd: who was first wins, the other switches nothing; and what is left when either dies."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from placement.publish.errors import SigningError, StaleError, TamperedError, UnansweredError, UnresolvedError
from placement.publish.etcd import Etcd, EtcdError
from placement.publish.layout import Layout
from placement.publish.store import Store
from tests.probes.tls_files import Authority
from tests.publish.etcd_server import ask, coded, etcd, value
from tests.publish.store_crash import forked
from tests.publish.store_world import NIGHT, Clock, at_rest, current_label, filling
from tests.servers import free_port

LATER = NIGHT + timedelta(days=99)


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    number = free_port()
    with etcd(tmp_path_factory.mktemp("etcd") / "data", number):
        yield number


@pytest.fixture
def agreed(port: int, request: pytest.FixtureRequest) -> Etcd:
    """A key of the test's own."""
    return Etcd((f"http://127.0.0.1:{port}",), f"/nearserve/{request.node.name}")


def publish(store: Store, label: str, *, take_over: bool = False) -> int:
    with store.writing(Clock(LATER)) as writer:
        return writer.publish(filling(label), {}, label, take_over=take_over).number


def test_the_key_says_which_generation_is_current(tmp_path: Path, port: int, agreed: Etcd) -> None:
    store = Store(tmp_path, etcd=agreed)
    with store.writing(Clock()) as writer:
        first = writer.publish(filling("a"), {}, "a")
        second = writer.publish(filling("b"), {}, "b")
        found = value(port, agreed.key)
        assert found and (found["number"], found["name"]) == (2, second.name)
        assert found["manifest_sha256"] == second.manifest_sha256
        assert found["predecessor"] == {"number": 1, "manifest_sha256": first.manifest_sha256}
        revision = agreed.read().revision
        assert not writer.publish(filling("b"), {}, "b").new
        assert agreed.read().revision == revision
        writer.rollback()
    found = value(port, agreed.key)
    assert found and found["name"] == first.name
    assert at_rest(tmp_path) == "a" and store.verify() == ()


def test_who_is_second_switches_nothing(tmp_path: Path, agreed: Etcd) -> None:
    """Both have seen the same; the other publishes while this one fills its folder."""
    here, there = Store(tmp_path / "here", etcd=agreed), Store(tmp_path / "there", etcd=agreed)

    def late(folder: Path) -> None:
        filling("mine")(folder)
        assert publish(there, "theirs") == 1

    with here.writing(Clock()) as writer, pytest.raises(StaleError, match="generation 1 was published by another"):
        writer.publish(late, {}, "mine")
    assert current_label(tmp_path / "here") is None and at_rest(tmp_path / "here") is None
    assert at_rest(tmp_path / "there") == "theirs"


def test_a_store_that_is_behind_is_refused_until_it_takes_over(tmp_path: Path, port: int, agreed: Etcd) -> None:
    here, there = Store(tmp_path / "here", etcd=agreed), Store(tmp_path / "there", etcd=agreed)
    publish(here, "a")
    with pytest.raises(StaleError, match=r"generation 1 .* is current, and this store has none"):
        publish(there, "b")
    assert publish(there, "b", take_over=True) == 2
    found = value(port, agreed.key)
    assert found and found["number"] == 2 and found["predecessor"]["number"] == 1
    with pytest.raises(StaleError, match=r"generation 2 .* is current, and this store's is 1"):
        publish(here, "c")
    (finding,) = here.verify()
    assert "in etcd current is generation 2" in finding
    assert at_rest(tmp_path / "here") == "a" and at_rest(tmp_path / "there") == "b"


def test_nobody_answers(tmp_path: Path, port: int, agreed: Etcd) -> None:
    publish(Store(tmp_path, etcd=agreed), "a")
    down = Etcd((f"http://127.0.0.1:{free_port()}",), agreed.key)
    with pytest.raises(UnansweredError, match="did not answer"):
        publish(Store(tmp_path, etcd=down), "b")
    assert at_rest(tmp_path) == "a"
    # Any endpoint that answers will do.
    assert publish(Store(tmp_path, etcd=Etcd((*down.endpoints, *agreed.endpoints), agreed.key)), "b") == 2
    no_gateway = Etcd(agreed.endpoints, "")
    with pytest.raises(EtcdError, match="400"):
        publish(Store(tmp_path, etcd=no_gateway), "c")
    ask(port, "/v3/kv/put", {"key": coded("/else"), "value": coded("words")})
    with pytest.raises(TamperedError, match="holds no pointer"):
        publish(Store(tmp_path, etcd=Etcd(agreed.endpoints, "/else")), "c")
    assert at_rest(tmp_path) == "b"


def killed(store: Store, label: str, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Publishes in a process that ends before the link is replaced, or before etcd is asked to."""

    def die(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def work() -> None:
        if where == "linking":
            monkeypatch.setattr(Layout, "point", die)
        else:
            monkeypatch.setattr(Etcd, "swap", die)
        publish(store, label)

    assert forked(work) == -signal.SIGKILL


def test_a_switch_that_etcd_agreed_on_is_done_by_the_next_writer(
    tmp_path: Path, agreed: Etcd, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path, etcd=agreed)
    publish(store, "a")
    killed(store, "b", "linking", monkeypatch)
    assert current_label(tmp_path) == "a"
    with pytest.raises(UnresolvedError, match="name the endpoints"), Store(tmp_path).writing(Clock(LATER)):
        pass
    down = Store(tmp_path, etcd=Etcd((f"http://127.0.0.1:{free_port()}",), agreed.key))
    with pytest.raises(UnansweredError), down.writing(Clock(LATER)):
        pass
    assert current_label(tmp_path) == "a"
    with store.writing(Clock(LATER)) as writer:
        assert writer.mended == ("committed generation 2, whose switch was cut off",)
    assert at_rest(tmp_path) == "b" and store.verify() == ()


@pytest.mark.parametrize("first", [True, False])
def test_what_a_dead_writer_asked_for_cannot_come_true_late(
    tmp_path: Path, port: int, agreed: Etcd, first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path, etcd=agreed)
    if not first:
        publish(store, "a")
    seen = agreed.read().revision
    killed(store, "b", "asking", monkeypatch)
    with store.writing(Clock(LATER)) as writer:
        assert writer.mended[0] == f"abandoned generation {1 if first else 2}, whose switch was cut off"
    # What the dead one had sent arrives now.
    assert not agreed.swap(seen, b"late")
    found = value(port, agreed.key)
    assert found and found["number"] == (0 if first else 1)
    assert publish(store, "c") == (2 if first else 3)
    assert at_rest(tmp_path) == "c" and store.verify() == ()


def test_an_answer_that_was_lost_is_no_lost_race(tmp_path: Path, agreed: Etcd, monkeypatch: pytest.MonkeyPatch) -> None:
    """etcd did it, and the answer never came: asked a second time it finds its own pointer there."""
    swap: Callable[[Etcd, int, bytes], bool] = Etcd.swap

    def twice(self: Etcd, seen: int, data: bytes) -> bool:
        assert swap(self, seen, data)
        return swap(self, seen, data)

    monkeypatch.setattr(Etcd, "swap", twice)
    assert publish(Store(tmp_path, etcd=agreed), "a") == 1
    assert at_rest(tmp_path) == "a"


def test_silence_in_the_middle_is_settled_later(tmp_path: Path, agreed: Etcd, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path, etcd=agreed)
    publish(store, "a")
    swap: Callable[[Etcd, int, bytes], bool] = Etcd.swap

    def silent(self: Etcd, seen: int, data: bytes) -> bool:
        swap(self, seen, data)
        raise UnansweredError("gone")

    with monkeypatch.context() as patch, pytest.raises(UnansweredError):
        patch.setattr(Etcd, "swap", silent)
        publish(store, "b")
    assert current_label(tmp_path) == "a"
    with store.writing(Clock(LATER)) as writer:
        assert writer.mended == ("committed generation 2, whose switch was cut off",)
    assert at_rest(tmp_path) == "b"


def test_by_tls_with_a_certificate_of_its_own_and_not_without(tmp_path: Path) -> None:
    authority = Authority.new(tmp_path)
    ca = tmp_path / "ca.pem"
    ca.write_bytes(authority.certificate.public_bytes(serialization.Encoding.PEM))
    for name in ("127.0.0.1", "client"):
        authority.server(name)
    mine, its = tmp_path / "authority-client-5.pem", tmp_path / "authority-127.0.0.1-5.pem"
    number = free_port()
    with etcd(tmp_path / "data", number, {"certificate": its, "key": its, "ca": ca}) as url:
        good = Etcd((url,), "/key", ca, mine, mine)
        _answers(good)
        assert publish(Store(tmp_path / "store", etcd=good), "a") == 1
        for bad in (Etcd((url,), "/key", ca), Etcd((url,), "/key", None, mine, mine)):
            with pytest.raises(UnansweredError):
                bad.read()
        with pytest.raises(SigningError, match="cannot be used for TLS"):
            Etcd((url,), "/key", ca, tmp_path / "nowhere").read()
    assert at_rest(tmp_path / "store") == "a"


def test_by_a_user_with_a_password(tmp_path: Path) -> None:
    number = free_port()
    with etcd(tmp_path / "data", number) as url:
        for path, request in (
            ("user/add", {"name": "root", "password": "pw"}),
            ("role/add", {"name": "root"}),
            ("user/grant", {"user": "root", "role": "root"}),
            ("enable", {}),
        ):
            ask(number, f"/v3/auth/{path}", request)
        assert publish(Store(tmp_path / "store", etcd=Etcd((url,), "/key", user="root", password="pw")), "a") == 1
        for wrong in (Etcd((url,), "/key"), Etcd((url,), "/key", user="root", password="no")):
            with pytest.raises((EtcdError, UnansweredError)):
                publish(Store(tmp_path / "store", etcd=wrong), "b")
    assert at_rest(tmp_path / "store") == "a"


def _answers(server: Etcd) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            server.read()
        except UnansweredError:
            assert time.monotonic() < deadline, "etcd did not start"
            time.sleep(0.05)
        else:
            return
