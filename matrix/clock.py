"""The only door to the clock. What depends on the day gets it as an argument."""

from datetime import UTC, date, datetime


def now() -> datetime:
    """The moment, in UTC."""
    return datetime.now(UTC)


def today() -> date:
    """The day, in UTC, as the folders of nightly runs are named."""
    return now().date()
