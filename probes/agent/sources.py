"""The files that an agent runs by: its configuration and its targets, read together and only used when sound."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from probes.agent.config import Config, load_targets, read_config, resolved
from probes.agent.targets import Target

Value = TypeVar("Value")


class Sources:
    """Configuration and targets as last read; raises DocumentError with every fault of either.

    `path` is made absolute. A read that fails leaves what was there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.config: Config = read_config(self.path)
        self._seen = self._stat()
        self.targets: list[Target] = load_targets(self.config, self.path)

    def read(self, config_too: bool, also: Callable[[Config], Value]) -> Value:
        """Reads the targets anew, or both; gives what `also` makes of the configuration, or nothing has changed."""
        config = read_config(self.path) if config_too else self.config
        self._seen = self._stat()
        targets, value = load_targets(config, self.path), also(config)
        self.targets, self.config = targets, config
        return value

    def targets_changed(self) -> bool:
        """Whether the list of targets is another file than the one last read, sound or not."""
        return self._stat() != self._seen

    def resolved(self, text: str) -> Path:
        """A path of the configuration."""
        return resolved(self.path, text)

    def _stat(self) -> tuple[int, int, int] | None:
        if self.config.targets is None:
            return None
        try:
            found = self.resolved(self.config.targets.file).stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino
