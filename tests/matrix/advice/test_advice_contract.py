"""What `advise` reads of a published site is all that the records say: both answer the same, whatever is asked."""

from collections.abc import Iterator
from pathlib import Path

from matrix.advice.advice import Age, Ask, advise, format_constraints
from matrix.advice.advice_file import PATH
from matrix.advice.sources import ResultSource, open_source
from matrix.advice.text import advice_lines
from matrix.model import Loader
from tests.support.site_server import serving


def answers(known: ResultSource, name: str) -> Iterator[tuple[str, ...]]:
    """What is said of an architecture with each loader: without versions, then for each environment it was measured in."""
    tried = known.tried(name)
    places = {(one.transformers, one.deepspeed, one.device) for one in tried}
    for loader in Loader:
        for ask in (Ask(loader=loader), *(Ask(*place, loader) for place in sorted(places))):
            advice = advise(name, tried, ask, Age(known.night, known.night))
            pins = [pin for one in advice.safe[:1] for pin in format_constraints(one, known.others(one))]
            yield (*advice_lines(advice), *pins)


def test_a_served_site_answers_as_the_records_that_it_was_made_of(site: Path) -> None:
    records = open_source(str(site.parent / "history"))
    with serving({f"/{PATH}": (site / PATH).read_bytes()}) as address:
        published = open_source(address)
        assert (sorted(published.names), len(published.names)) == (records.names, 89)
        assert published.night == records.night
        for name in records.names:
            assert list(answers(published, name)) == list(answers(records, name)), name
