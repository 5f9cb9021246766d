"""The only door to the clock. What depends on the day gets it as an argument."""

from datetime import UTC, date, datetime


def now() -> datetime:
    """Returns the current time, in UTC."""
    return datetime.now(UTC)


def today() -> date:
    """Returns the current date, in UTC, as the folders of nightly runs are named."""
    return now().date()
