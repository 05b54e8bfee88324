"""What a scenario states that cannot be put into arrays; the checks find it first wherever they can."""


class UnplannableError(ValueError):
    """The scenario states something that cannot be planned; the message names it."""
