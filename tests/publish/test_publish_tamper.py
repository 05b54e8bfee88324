"""Whatever is done to a store, `verify` names it; what is not signed, or by another, is refused where a key is set."""

import hashlib
import json
import os
import shutil
import stat
import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from placement.publish.errors import SigningError, TamperedError
from placement.publish.signature import NAMESPACE, Signer, Trust
from placement.publish.store import Store
from tests.publish.store_world import NIGHT, Clock, at_rest, current_label, filling
from tests.servers import program

ME = "nightly@example.org"
LATER = NIGHT + timedelta(days=99)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two keys, `mine` and `other`, and the files that allow the one and the other."""
    folder = tmp_path_factory.mktemp("keys")
    keygen = str(program("ssh-keygen", "openssh-client"))
    for name, phrase in (("mine", ""), ("other", ""), ("locked", "secret")):
        made = [keygen, "-q", "-t", "ed25519", "-N", phrase, "-C", name, "-f", str(folder / name)]
        subprocess.run(made, check=True, timeout=60)
    for name in ("mine", "other"):
        key = (folder / f"{name}.pub").read_text()
        (folder / f"{name}.allowed").write_text(f'{ME} namespaces="{NAMESPACE}" {key}')
    return folder


def signed(root: Path, keys: Path, *labels: str) -> Store:
    store = Store(root, signer=Signer(keys / "mine"), trust=Trust(keys / "mine.allowed", ME))
    with store.writing(Clock()) as writer:
        for label in labels:
            writer.publish(filling(label), {}, label)
    return store


def unlocked(root: Path, at: str) -> Path:
    """A file of the current generation, made writable with its folder, as somebody would who means to change it."""
    path = Path(os.path.realpath(root / "current")) / at
    for each in (path.parent, path):
        if each.exists():
            each.chmod(0o755)
    return path


def _change(root: Path) -> None:
    path = unlocked(root, "feeds/envoy/all/eds.json")
    path.write_bytes(path.read_bytes()[::-1])
    path.chmod(0o444)


def _remove(root: Path) -> None:
    unlocked(root, "feeds/csv/all/routes.csv").unlink()


def _add(root: Path) -> None:
    unlocked(root, "feeds/csv/all/more.csv").write_text("x")


def _mode(root: Path) -> None:
    unlocked(root, "plan/plan.json")


def _link(root: Path) -> None:
    path = unlocked(root, "plan/plan.json")
    path.unlink()
    path.symlink_to("/etc/hostname")


def _claim(root: Path) -> None:
    """The file and its hash in the manifest."""
    _change(root)
    path = unlocked(root, "manifest.json")
    told = json.loads(path.read_bytes())
    data = (path.parent / "feeds/envoy/all/eds.json").read_bytes()
    told["files"]["feeds/envoy/all/eds.json"]["sha256"] = hashlib.sha256(data).hexdigest()
    path.write_text(json.dumps(told))


def _no_signature(root: Path) -> None:
    unlocked(root, "manifest.json.sig").unlink()


def _no_manifest(root: Path) -> None:
    unlocked(root, "manifest.json").unlink()


def _moved(root: Path) -> None:
    name = next(path.name for path in (root / "generations").iterdir() if path.name.startswith("000001"))
    (root / "current").unlink()
    (root / "current").symlink_to(f"generations/{name}")


def _led_away(root: Path) -> None:
    (root / "current").unlink()
    (root / "current").symlink_to("/etc")


def _stranger(root: Path) -> None:
    (root / "generations" / "000001-backup").mkdir()


def _dropped(root: Path) -> None:
    lines = (root / "ledger.jsonl").read_bytes().splitlines(keepends=True)
    (root / "ledger.jsonl").write_bytes(b"".join([*lines[:1], *lines[2:]]))


def _edited(root: Path) -> None:
    data = (root / "ledger.jsonl").read_bytes()
    (root / "ledger.jsonl").write_bytes(data.replace(b'"by":""', b'"by":"x"', 1))


def _shortened(root: Path) -> None:
    lines = (root / "ledger.jsonl").read_bytes().splitlines(keepends=True)
    (root / "ledger.jsonl").write_bytes(b"".join(lines[:2]))


@pytest.mark.parametrize(
    ("tamper", "named"),
    [
        (_change, r"feeds/envoy/all/eds\.json: was changed"),
        (_remove, r"feeds/csv/all/routes\.csv: is missing"),
        (_add, r"feeds/csv/all/more\.csv: is a file that was not published"),
        (_mode, r"plan/plan\.json: has mode 0755, and was published with 0444"),
        (_link, r"plan/plan\.json: is a link"),
        (_claim, r"manifest\.json: is not the one that the ledger knows of"),
        (_no_signature, r"manifest\.json: is not signed"),
        (_no_manifest, r"manifest\.json: cannot be read"),
        (_moved, r"current: leads to 000001-\w+, but by the ledger generation 2"),
        (_led_away, r"current: points to /etc, which is no generation"),
        (_stranger, r"000001-backup: is no generation"),
        (_dropped, r"ledger\.jsonl: line 2 does not follow"),
        (_edited, r"ledger\.jsonl: line 1 was changed"),
        (_shortened, r"current: leads to 000002"),
    ],
)
def test_verify_names_what_was_tampered_with(
    tmp_path: Path, keys: Path, tamper: Callable[[Path], None], named: str
) -> None:
    import re  # noqa: PLC0415

    store = signed(tmp_path, keys, "a", "b")
    assert store.verify() == () and at_rest(tmp_path) == "b"
    tamper(tmp_path)
    findings = store.verify()
    assert findings and any(re.search(named, finding) for finding in findings), findings


@pytest.mark.parametrize("tamper", [_moved, _led_away, _dropped, _edited, _shortened])
def test_a_store_that_is_not_as_a_writer_left_it_is_not_written(
    tmp_path: Path, keys: Path, tamper: Callable[[Path], None]
) -> None:
    store = signed(tmp_path, keys, "a", "b")
    tamper(tmp_path)
    before = _all(tmp_path)
    with pytest.raises(TamperedError), store.writing(Clock(LATER)):
        pass
    assert _all(tmp_path) == before


def _all(root: Path) -> dict[str, bytes | str]:
    """Every file and link with what it holds, but the lock."""
    paths = [path for path in root.rglob("*") if path.name != "lock"]
    return {
        str(path): os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else "folder"  # noqa: PTH115
        for path in paths
    }


def test_a_link_that_was_moved_by_hand_is_set_right_by_a_rollback_to_a_number(tmp_path: Path, keys: Path) -> None:
    store = signed(tmp_path, keys, "a", "b")
    for tamper in (_moved, _led_away):
        tamper(tmp_path)
        with store.writing(Clock(LATER), astray=True) as writer:
            writer.rollback(2, reason="the link was moved")
        assert at_rest(tmp_path) == "b" and store.verify() == ()


def test_a_rollback_never_leads_to_what_was_tampered_with(tmp_path: Path, keys: Path) -> None:
    store = signed(tmp_path, keys, "a", "b")
    first = next((tmp_path / "generations").glob("000001-*"))
    (first / "plan").chmod(0o755)
    (first / "plan" / "plan.json").chmod(0o644)
    (first / "plan" / "plan.json").write_text("{}")
    with store.writing(Clock(LATER)) as writer, pytest.raises(TamperedError, match=r"plan/plan\.json: was changed"):
        writer.rollback()
    assert current_label(tmp_path) == "b"


def test_the_same_again_says_where_the_current_one_was_tampered_with(tmp_path: Path, keys: Path) -> None:
    store = signed(tmp_path, keys, "a")
    _change(tmp_path)
    with store.writing(Clock(LATER)) as writer:
        with pytest.raises(TamperedError, match="--again"):
            writer.publish(filling("a"), {}, "a")
        assert writer.publish(filling("a"), {}, "a", again=True).number == 2
    assert current_label(tmp_path) == "a"


def test_only_the_signature_of_who_is_trusted_over_this_very_manifest_counts(tmp_path: Path, keys: Path) -> None:
    root = tmp_path / "store"
    store = signed(root, keys, "a", "b")

    def findings(allowed: str, identity: str, revoked: Path | None = None) -> tuple[str, ...]:
        return Store(root, trust=Trust(keys / allowed, identity, revoked)).verify()

    assert findings("mine.allowed", ME) == ()
    assert len(findings("other.allowed", ME)) == 2  # both generations
    assert len(findings("mine.allowed", "someone@example.org")) == 2
    assert len(findings("mine.allowed", ME, keys / "mine.pub")) == 2  # a list of revoked keys may be a public key
    folder = Path(os.path.realpath(root / "current"))
    unlocked(root, "manifest.json.sig")
    for namespace, key in (("file", "mine"), (NAMESPACE, "other")):
        command = ["ssh-keygen", "-Y", "sign", "-f", str(keys / key), "-n", namespace]
        made = subprocess.run(
            command, input=(folder / "manifest.json").read_bytes(), capture_output=True, check=True, timeout=60
        )
        (folder / "manifest.json.sig").write_bytes(made.stdout)
        assert [line for line in store.verify() if "is no signature of nightly@example.org" in line], (namespace, key)
    first = next((root / "generations").glob("000001-*"))
    shutil.copyfile(first / "manifest.json.sig", folder / "manifest.json.sig")
    assert [line for line in store.verify() if "is no signature" in line]


def test_openssh_alone_verifies_what_was_signed(tmp_path: Path, keys: Path) -> None:
    signed(tmp_path, keys, "a")
    command = f"ssh-keygen -Y verify -f {keys}/mine.allowed -I {ME} -n {NAMESPACE} -s manifest.json.sig < manifest.json"
    done = subprocess.run(command, shell=True, cwd=tmp_path / "current", capture_output=True, check=False, timeout=60)
    assert done.returncode == 0 and b"Good" in done.stdout


def test_a_key_that_cannot_sign_or_that_readers_would_refuse_publishes_nothing(tmp_path: Path, keys: Path) -> None:
    signed(tmp_path, keys, "a")
    trust = Trust(keys / "mine.allowed", ME)
    for signer, why in (
        (Signer(keys / "locked"), "cannot sign"),
        (Signer(keys / "nowhere"), "cannot sign"),
        (Signer(keys / "other"), "readers would refuse"),
        (None, "is not signed"),
    ):
        store = Store(tmp_path, signer=signer, trust=trust)
        with store.writing(Clock(LATER)) as writer, pytest.raises(SigningError, match=why):
            writer.publish(filling("b"), {}, "b")
    with pytest.raises(SigningError, match="is no file"):
        Store(tmp_path, trust=Trust(tmp_path / "nowhere", ME)).verify()
    assert at_rest(tmp_path) == "a"


def test_generations_cannot_be_written_by_mistake(tmp_path: Path, keys: Path) -> None:
    signed(tmp_path, keys, "a")
    for path in (folder := Path(os.path.realpath(tmp_path / "current"))).rglob("*"):
        assert not path.stat().st_mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o555
