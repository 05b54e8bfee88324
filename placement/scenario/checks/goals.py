"""What is made small, and what moves are counted from: [objective] and [stability] of scenario.toml."""

from collections.abc import Iterator

from placement.scenario.draft import Draft, at_key
from placement.scenario.findings import Finding
from placement.scenario.previous import read_previous


def check_goals(draft: Draft) -> Iterator[Finding]:
    """At least one goal, each once, and a gap for each or for none."""
    if draft.document is None:
        return
    goals, gaps = draft.document.objective.goals, draft.document.objective.goal_gaps
    if not goals:
        mend = 'Write goals = ["cost"] or remove the key.'
        yield from at_key(draft, "objective.goals", "[]", "goals", "no goal at all", mend)
    for goal in dict.fromkeys(goals):
        if goals.count(goal) > 1:
            message = f"the goal {goal} stands {goals.count(goal)} times"
            mend = "A goal that is reached stays reached: name it once."
            yield from at_key(draft, "objective.goals", ", ".join(goals), "goals", message, mend)
    if gaps and len(gaps) != len(goals):
        message = f"{len(gaps)} gaps for {len(goals)} goals"
        mend = "Write one for each goal, in the order of goals, or remove the key."
        shown = ", ".join(f"{gap:g}" for gap in gaps)
        yield from at_key(draft, "objective.goal_gaps", shown, "goal-gaps", message, mend)


def check_moves_count_from_a_plan(draft: Draft) -> Iterator[Finding]:
    """A limit, a price or a goal of moves needs the plan that they are counted from."""
    if draft.document is None or draft.document.stability.previous_plan is not None:
        return
    stability, goals = draft.document.stability, draft.document.objective.goals
    asked = (
        ("stability.max_moves", stability.max_moves, stability.max_moves is not None),
        ("stability.usd_per_move", stability.usd_per_move, stability.usd_per_move is not None),
        ("objective.goals", ", ".join(goals), "moves" in goals),
    )
    message = "moves are counted from stability.previous_plan, and there is none"
    mend = 'Write previous_plan = "../plans/yesterday" under [stability], or remove the key.'
    for key, value, is_asked in asked:
        if is_asked:
            yield from at_key(draft, key, value, "no-previous-plan", message, mend)


def check_previous_plan(draft: Draft) -> Iterator[Finding]:
    """The previous plan is there, and is a plan."""
    if draft.document is None or draft.document.stability.previous_plan is None:
        return
    name = draft.document.stability.previous_plan
    _, message, mend = read_previous(draft.folder, name)
    if message:
        yield from at_key(draft, "stability.previous_plan", name, "previous-plan", message, mend)


CHECKS = (check_goals, check_moves_count_from_a_plan, check_previous_plan)
