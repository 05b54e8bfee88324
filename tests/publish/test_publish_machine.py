"""Any order of publishing, going back, taking away and being killed, against a model of a few lines."""

import os
import tempfile
from datetime import timedelta
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from placement.publish import durable
from placement.publish.errors import UnknownGenerationError, WithdrawnError
from placement.publish.retention import Retention
from placement.publish.store import Store
from placement.publish.writer import Writer
from tests.publish.store_crash import Steps, forked
from tests.publish.store_world import Clock, at_rest, current_label, entries, filling, label_of

LABELS = st.sampled_from("abcd")
KEEP = st.integers(1, 3)


class Machine(RuleBasedStateMachine):
    """The model: the label of every generation that stands, by number; the line that led here; what was taken back."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp()) / "store"
        self.clock = Clock()
        self.labels: dict[int, str] = {}
        self.line: list[int] = []
        self.withdrawn: set[str] = set()
        self.highest = 0

    @initialize()
    def quick(self) -> None:
        """SIGKILL does not ask whether the disk has it."""
        self.calls = (os.fsync, durable._syncfs)
        os.fsync = lambda _: None
        durable._syncfs = lambda: lambda _: 0

    def teardown(self) -> None:
        os.fsync, durable._syncfs = self.calls
        durable.remove(self.root.parent)

    def published(self, number: int, label: str) -> None:
        self.labels[number] = label
        self.line.append(number)
        self.withdrawn.discard(label)

    def went_back(self, number: int) -> None:
        kept = self.line.index(number) + 1 if number in self.line else len(self.line) - 1
        gone = self.line[kept:]
        self.withdrawn |= {self.labels[each] for each in gone}
        self.line = self.line[:kept] if number in self.line else [*self.line, number]
        self.withdrawn.discard(self.labels[number])

    @rule(label=LABELS, again=st.booleans())
    def publish(self, label: str, again: bool) -> None:
        with Store(self.root).writing(self.clock) as writer:
            try:
                found = writer.publish(filling(label), {"label": label}, label, again=again)
            except WithdrawnError:
                assert label in self.withdrawn and not again
                return
        same = bool(self.line) and self.labels[self.line[-1]] == label and not again
        assert found.new != same and (again or label not in self.withdrawn)
        if found.new:
            self.highest += 1
            assert found.number == self.highest
            self.published(found.number, label)

    @rule(to=st.one_of(st.none(), st.integers(1, 12)))
    def rollback(self, to: int | None) -> None:
        with Store(self.root).writing(self.clock) as writer:
            try:
                found = writer.rollback(to)
            except UnknownGenerationError:
                assert len(self.line) < 2 if to is None else to not in self.labels or to == self.line[-1]
                return
        assert found.number == (self.line[-2] if to is None else to)
        self.went_back(found.number)

    @rule(keep=KEEP)
    def prune(self, keep: int) -> None:
        with Store(self.root).writing(self.clock) as writer:
            gone = {each.number for each in writer.prune(Retention(keep, 0, timedelta(0)))}
        stay = {*sorted(self.labels)[-keep:], *self.line[-2:]}
        assert gone == set(self.labels) - stay
        self._pruned(gone)

    def _pruned(self, gone: set[int]) -> None:
        self.labels = {number: label for number, label in self.labels.items() if number not in gone}
        self.line = [number for number in self.line if number not in gone]

    @rule(step=st.integers(1, 45), label=LABELS, back=st.booleans())
    def killed(self, step: int, label: str, back: bool) -> None:
        """Cut off somewhere: it happened, or it did not, and readers never found anything else."""
        before = current_label(self.root)

        def work() -> None:
            Steps(step)
            with Store(self.root).writing(self.clock) as writer:
                self._change(writer, label, back)

        forked(work)
        self.clock.now += timedelta(days=9)
        found = current_label(self.root)
        with Store(self.root).writing(self.clock):
            pass
        assert current_label(self.root) == found
        self.highest = max((entry["number"] for entry in entries(self.root)), default=0)
        head = entries(self.root)[-1] if entries(self.root) else None
        target = self.line[-2] if back and len(self.line) > 1 else None
        if back and target and Path(os.path.realpath(self.root / "current")).name.startswith(f"{target:06d}-"):
            self.went_back(target)
        elif not back and head and head["event"] == "committed" and head["number"] not in self.labels:
            assert found == label
            self.published(head["number"], label)
        else:
            assert found == before

    @staticmethod
    def _change(writer: Writer, label: str, back: bool) -> None:
        if back:
            writer.rollback()
        else:
            writer.publish(filling(label), {"label": label}, label, again=True)

    @precondition(lambda self: self.root.exists())
    @invariant()
    def as_the_model_says(self) -> None:
        label = at_rest(self.root)
        assert label == (self.labels[self.line[-1]] if self.line else None)
        there = {int(path.name[:6]): label_of(path) for path in (self.root / "generations").iterdir()}
        assert there == self.labels
        assert Store(self.root).state().withdrawn == frozenset(self.withdrawn)
        assert Store(self.root).verify() == ()


Machine.TestCase.settings = settings(
    max_examples=25, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)
TestPublishing = Machine.TestCase
