"""The parts that the contexts of pages are made of."""

from bot.site.data.views import words
from bot.text import Code, render_json


def test_a_sentence_is_plain_text_in_json() -> None:
    """The scripts of the site show it: "Why: ..." and "Stale: ..."."""
    assert render_json({"text": words("wrong in ", Code("Router"))}) == '{"text":"wrong in Router"}\n'
