"""Why no demand can be told from telemetry: every reason at once, each with its mend."""


class TelemetryError(ValueError):
    """Telemetry that cannot be read, or from which nothing can be forecast. `reasons` are lines for a person."""

    def __init__(self, *reasons: str) -> None:
        super().__init__("\n".join(reasons))
        self.reasons = reasons


class StaleTelemetryError(TelemetryError):
    """The newest hour is too long ago to say anything of the day that is planned for."""
