"""nearserve publish: generations of plans and feeds, whole or not at all, and a way back."""

import click

from placement.cli.lazy import LazyGroup

COMMANDS = {
    "plan": ("placement.cli.publish_plan", "Audit a plan, render its feeds, and lead readers to both at once."),
    "list": ("placement.cli.publish_list", "Show which generations stand, and which is current."),
    "log": ("placement.cli.publish_log", "Show what was switched, when, by whom, and why."),
    "verify": (
        "placement.cli.publish_verify",
        "Check every file of every generation, signatures, and the ledger.",
    ),
    "rollback": ("placement.cli.publish_rollback", "Lead readers back to an earlier generation."),
    "prune": ("placement.cli.publish_prune", "Take old generations away."),
}


@click.group(
    "publish",
    cls=LazyGroup,
    modules=COMMANDS,
    epilog="Example: nearserve publish plan my-plan --scenario my-scenario --store /srv/nearserve",
)
def command() -> None:
    """Publish plans and their feeds: whole or not at all, signed, and with a way back."""
