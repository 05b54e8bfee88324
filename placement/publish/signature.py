"""A detached signature over manifest.json, made and checked by OpenSSH: `ssh-keygen -Y sign` and `-Y verify`.

The keys are those that people have; who may sign stands in an allowed_signers file (ssh-keygen(1)), a line each:

    nightly@example.org namespaces="generation@nearserve" ssh-ed25519 AAAA...
"""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from placement.publish.errors import SigningError
from placement.publish.manifest import MANIFEST, SIGNATURE

NAMESPACE = "generation@nearserve"
"""What a signature is for: one over a mail or a commit by the same key does not count."""
_PATIENCE_S = 60.0


@dataclass(frozen=True)
class Signer:
    """A private key without a passphrase, or a public one whose private half is in the ssh-agent."""

    key: Path

    def signed(self, data: bytes) -> bytes:
        """The signature, armoured. Raises SigningError."""
        done = _ssh_keygen(["-Y", "sign", "-f", str(self.key), "-n", NAMESPACE], data)
        if done.returncode != 0 or not done.stdout.startswith(b"-----BEGIN SSH SIGNATURE-----"):
            raise SigningError(f"{self.key}: cannot sign ({_said(done)}); give a private key without a passphrase")
        return done.stdout


@dataclass(frozen=True)
class Trust:
    """Whose signatures count: `identity` by the file of allowed signers, less what `revoked` lists."""

    allowed_signers: Path
    identity: str
    revoked: Path | None = None

    def refusals(self, folder: Path) -> list[str]:
        """Why the manifest in `folder` is not to be believed; nothing where it is. Raises SigningError."""
        for path in (self.allowed_signers, self.revoked):
            if path is not None and not path.is_file():
                raise SigningError(f"{path}: is no file; it should say whose signatures count")
        signature = folder / SIGNATURE
        if not signature.is_file():
            return [f"{folder / MANIFEST}: is not signed"]
        arguments = ["-Y", "verify", "-f", str(self.allowed_signers), "-I", self.identity, "-n", NAMESPACE]
        if self.revoked is not None:
            arguments += ["-r", str(self.revoked)]
        done = _ssh_keygen([*arguments, "-s", str(signature)], (folder / MANIFEST).read_bytes())
        if done.returncode == 0:
            return []
        return [f"{signature}: is no signature of {self.identity} over {MANIFEST} ({_said(done)})"]


def _ssh_keygen(arguments: list[str], data: bytes) -> subprocess.CompletedProcess[bytes]:
    try:
        # A session of its own has no terminal to ask for a passphrase at, so that it fails where it would wait.
        return subprocess.run(
            ["ssh-keygen", *arguments],
            input=data,
            capture_output=True,
            check=False,
            timeout=_PATIENCE_S,
            start_new_session=True,
        )
    except FileNotFoundError as error:
        raise SigningError("ssh-keygen is not on this machine: install OpenSSH's client") from error
    except subprocess.TimeoutExpired as error:
        raise SigningError(f"ssh-keygen said nothing for {_PATIENCE_S:g} s") from error


def _said(done: subprocess.CompletedProcess[bytes]) -> str:
    lines = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else f"exit code {done.returncode}"
