"""The list of architectures, also without any."""

from bot.site.pages import architectures, start
from tests.support.sites import site_index


def test_an_empty_snapshot_has_pages_too() -> None:
    site = site_index()
    assert start.build(site).heat is None
    assert architectures.build(site).architectures == ()
