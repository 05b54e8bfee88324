"""A night, from measurements to a published generation: its stages in their order, and how it ends.

    ingest → demand → inputs → check → topology → plan → audit → diff → gates → feeds → publish → report

Every stage is a function of what stood before it. Nothing is published unless all of them went well.
"""

from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from placement.nightly import asking, deadline, looking, snapshot
from placement.nightly.diffing import Difference, differ
from placement.nightly.faults import Fault
from placement.nightly.folders import file_sha256
from placement.nightly.gates import Verdict
from placement.nightly.identity import identity
from placement.nightly.ingest import ingest
from placement.nightly.planned import audit_again, make_plan
from placement.nightly.publishing import Target, publish, settle, standing, withdrawn
from placement.nightly.rendering import configuration_sha256, render
from placement.nightly.report import lines, report
from placement.nightly.runs import Result, Run
from placement.nightly.tonight import Ending, Tonight

if TYPE_CHECKING:
    from placement.publish.generation import Generation
    from placement.scenario import Scenario
    from placement.topology.pairs import Pairs

PLAN, FEEDS = "plan", "feeds"


class Night:
    """One run on its way. Its stages are methods, in their order; each may raise Fault."""

    def __init__(self, tonight: Tonight, run: Run, target: Target) -> None:
        self.tonight, self.config, self.run = tonight, tonight.config, run
        self.target, self.store = target, target.store
        self.state = Path(self.config.state)
        self.verdicts: tuple[Verdict, ...] = ()
        self.difference: Difference | None = None
        self.figures: dict[str, float | None] = {}
        self.base: Generation | None = None
        self.stage = ""
        self.began = monotonic()

    def go(self) -> Ending:
        """All stages. Raises Fault where one of them ends the night."""
        self._look_at_published()
        self._read()
        self._ask_of_data()
        if self._unchanged():
            return Ending(unchanged=True, generation=None if self.base is None else self.base.number)
        self._plan()
        self._differ()
        self._ask_of_plan()
        self._render()
        return self._publish()

    # what is known before a plan is made

    def _look_at_published(self) -> None:
        self._begin("published")
        if not self.tonight.dry_run:
            settle(self.store, self.tonight.clock)
        self.base = standing(self.store)

    def _read(self) -> None:
        config, run = self.config, self.run
        self._begin("ingest")
        records = self.state / "measurements"
        rows = [entry.model_dump(mode="json") for entry in config.ingest]
        took = run.stage("ingest", {"ingest": rows}, lambda _: ingest(config.ingest, records))
        demand = self._demand()
        self._begin("inputs")
        plan = None if self.base is None else self.base.folder / PLAN
        if plan is not None and not (plan / "plan.json").is_file():
            plan = None  # others publish other things
        day = run.began.date().isoformat()
        made_from = {
            "ingest": took.sha256,
            "demand": None if demand is None else demand.sha256,
            "tables": snapshot.tables_sha256(config),
            "published": None if plan is None else file_sha256(plan / "plan.json"),
            "measurements": config.measurements,
            "moves_from": config.plan.moves_from,
            "day": day if config.plan.date == "tonight" else None,
        }

        def take(into: Path) -> dict[str, Any]:
            snapshot.take(config, into, records, None if demand is None else demand.folder, plan, day)
            return {"published": None if self.base is None else self.base.number}

        run.stage("inputs", made_from, take)
        self._begin("check")
        inputs = run.results["inputs"]
        run.stage("check", {"inputs": inputs.sha256}, self._check)
        self._begin("topology")
        run.stage("topology", {"inputs": inputs.sha256}, self._topology)

    def _demand(self) -> Result | None:
        config, began = self.config.demand, self.run.began
        if config is None:
            return None
        self._begin("demand")
        from placement.nightly.telemetry import expected  # noqa: PLC0415

        made_from = {"config": file_sha256(Path(config.config)), "as_of": began.isoformat()}
        return self.run.stage(
            "demand", made_from, lambda into: expected(Path(config.config), Path(self.config.scenario), into, began)
        )

    def _check(self, into: Path) -> dict[str, Any]:
        self.__dict__["scenario"], facts = looking.check(self._inputs, into)
        return facts

    def _topology(self, into: Path) -> dict[str, Any]:
        found, facts = looking.topology(self.scenario, into)
        self.__dict__["pairs"] = found.pairs
        return facts

    @cached_property
    def scenario(self) -> "Scenario":
        """The scenario of the snapshot; read again where a run goes on."""
        from placement.scenario import load  # noqa: PLC0415

        return load(self._inputs)

    @cached_property
    def pairs(self) -> "Pairs":
        """The pairs that the topology stage wrote, where it was not made in this process."""
        return looking.read_pairs(self.run.results["topology"].folder)

    @property
    def _inputs(self) -> Path:
        return self.run.results["inputs"].folder / snapshot.SCENARIO

    @property
    def previous(self) -> Path | None:
        """The published plan as the snapshot holds it; None where nothing was published."""
        folder = self.run.results["inputs"].folder / snapshot.PREVIOUS
        return folder if folder.is_dir() else None

    def _ask_of_data(self) -> None:
        """Ages and clocks are asked of now, also where a run goes on."""
        self._begin("data_gates")
        newest = self.run.results["topology"].facts["newest_at_s"]
        published = None if self.base is None else self.base.created_at
        asked = asking.of_data(self.config.gates, newest, published, self.tonight.now)
        self.figures |= asked.figures
        self.verdicts = asked.verdicts
        if asked.refused:
            names = [one.gate for one in asked.refused]
            raise Fault("stale", "\n".join(map(str, asked.refused)), gates=names)

    @cached_property
    def identity(self) -> str:
        """The hash of all that a published plan depends on, but for what publishing itself changes."""
        inputs_sha256 = self.run.results["check"].facts["sha256"]
        return identity(self.config, inputs_sha256, self.feeds_sha256, self.run.began.date())

    @cached_property
    def feeds_sha256(self) -> str | None:
        """The hash of the feeds' configuration and of the files that it names; None where there are no feeds."""
        return None if self.config.feeds is None else configuration_sha256(Path(self.config.feeds))

    def _unchanged(self) -> bool:
        """Whether the published generation is of the same inputs, and was not made in haste."""
        if self.base is None:
            return False
        again = withdrawn(self.store, self.identity)
        if again is not None:
            message = (
                f"these are the inputs of generation {again}, which a rollback took away; change them, or bring it "
                f"back: nearserve publish rollback {self.store.root} --to {again}"
            )
            raise Fault("withdrawn", message, generation=again)
        return bool(self.base.facts.get("inputs") == self.identity and self.base.facts.get("whole"))

    # the plan, and what it would change

    def _plan(self) -> None:
        self._begin("plan")
        results, config = self.run.results, self.config
        start = self.previous if config.plan.warm else None
        made_from = {
            "inputs": results["inputs"].sha256,
            "plan": config.plan.model_dump(mode="json"),
            "version": version("nearserve"),
        }
        reading_s = sum(results[name].seconds for name in ("check", "topology"))
        kept_s = deadline.closing_s(self.state, reading_s)
        stood = self.run.folder / PLAN / "facts.json"
        keep = not cut_short(stood) or self.tonight.end.passed
        made = self.run.stage(
            PLAN,
            made_from,
            lambda into: make_plan(self.tonight, self.scenario, self.pairs, start, into, kept_s),
            keep=keep,
        )
        self._begin("audit")
        if config.audit_again:
            self.run.stage(
                "audit",
                {"inputs": results["inputs"].sha256, "plan": made.sha256},
                lambda _: audit_again(made.folder / PLAN, self._inputs, self.pairs),
            )

    @property
    def plan(self) -> Path:
        """The plan's folder."""
        return self.run.results[PLAN].folder / PLAN

    def _differ(self) -> None:
        self._begin("diff")
        results = self.run.results
        made_from = {"inputs": results["inputs"].sha256, "plan": results[PLAN].sha256, "steps": self.config.steps}

        def make(into: Path) -> dict[str, Any]:
            self.difference = differ(self.previous, self.plan, self.scenario, self.pairs, into, steps=self.config.steps)
            return self.difference.facts

        found = self.run.stage("diff", made_from, make)
        self.difference = Difference(found.facts)

    def _ask_of_plan(self) -> None:
        self._begin("gates")
        assert self.difference is not None
        change = asking.Change(self.previous, self.plan, self.scenario, self.pairs, self.difference.facts)
        asked = asking.of_plan(self.config.gates, change, self.tonight.now)
        self.figures |= asked.figures
        self.verdicts += asked.verdicts
        if asked.refused:
            message = asking.refusal(asked.refused, self.config.gates.approval, self.run.folder)
            raise Fault("gates", message, gates=[one.gate for one in asked.refused])

    # what others read

    def _render(self) -> None:
        self._begin(FEEDS)
        results, config = self.run.results, self.config
        if config.feeds is None:
            return
        made_from = {
            "inputs": results["inputs"].sha256,
            "plan": results[PLAN].sha256,
            "feeds": self.feeds_sha256,
            "version": version("nearserve"),
        }
        path = Path(config.feeds)
        self.run.stage(FEEDS, made_from, lambda into: render(self.plan, self.scenario, path, into))

    def _publish(self) -> Ending:
        self._begin("publish")
        if self.tonight.end.passed and not (self.config.deadline and self.config.deadline.publish_late):
            message = "the deadline has passed; what is published stays. Run again to publish this plan all the same"
            raise Fault("deadline", message)
        if self.tonight.dry_run:
            return Ending(generation=None if self.base is None else self.base.number)
        began = monotonic()
        told = report(self, Ending(new=True), began - self.began)
        generation = publish(self, told, lines(told))
        self.run.did("publish", monotonic() - began)
        return Ending(generation=generation.number, new=generation.new)

    def _begin(self, stage: str) -> None:
        """A stage begins, and whatever is raised is its. Asked to end, a night ends here if it has no plan yet."""
        self.stage = stage
        self.tonight.tell(stage)
        if self.tonight.interrupted() and PLAN not in self.run.results:
            raise Fault("interrupted", "asked to end before there was a plan; the next night goes on from here")


def cut_short(facts: Path) -> bool:
    """Whether a plan that stands was made in less time than it should have had."""
    import json  # noqa: PLC0415

    try:
        return bool(json.loads(facts.read_bytes())["cut_short"])
    except (OSError, ValueError, KeyError):
        return False
