"""What a person says about a file beside the file itself."""

from dataclasses import dataclass, replace
from typing import Any

from probes.record import Record


@dataclass(frozen=True, slots=True)
class Options:
    """The ends and the time (nanoseconds since 1970 UTC) that hold for every record of the file; None: as in the file.

    `file_time` is when the file was last written, the stand-in for a time that neither the file nor the person gives.
    """

    source: str | None = None
    target: str | None = None
    observed_at: int | None = None
    file_time: int | None = None


def overridden(record: Record, options: Options) -> Record:
    """The record with the person's ends and time; a name that is replaced stays as the alias of its end."""
    changes: dict[str, Any] = {}
    if options.source is not None and options.source != record.source:
        changes |= {"source": options.source, "source_alias": record.source_alias or record.source or None}
    if options.target is not None and options.target != record.target:
        changes |= {"target": options.target, "target_alias": record.target_alias or record.target or None}
    if options.observed_at is not None:
        changes["observed_at"] = options.observed_at
    return replace(record, **changes) if changes else record
