"""The window of days that count."""

from datetime import date, timedelta


def window_start(planning_date: date | None, max_age_days: float | None) -> date | None:
    """First day whose records count: `max_age_days` before the planning date; None when either is not given."""
    if planning_date is None or max_age_days is None:
        return None
    return planning_date - timedelta(days=max_age_days)
