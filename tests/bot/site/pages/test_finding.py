"""What the page of a failure says."""

from bot.site.pages import finding as finding_module
from tests.support.sites import small


def test_a_failure_names_every_place() -> None:
    (page,) = finding_module.PAGE.pages(small())
    assert (page.line.cases, page.line.architectures, page.line.environments) == (1, 1, 1)
    assert page.places[0].cases[0].page.endswith(f"{page.example.page}")
