"""The only door to Jinja: every value is made harmless for its outlet by default, not by each template's care."""

import base64
import hashlib
import re
from functools import cache
from typing import Literal

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from bot.comment_words import WHATS
from bot.text import Code, clip, count, html_code, markdown_code, markdown_fence, markdown_text, visible
from bot.words import VERDICTS
from matrix.model import Verdict


def render(template_name: str, context: object) -> str:
    """`context` through `templates/<template_name>.j2`: HTML or GitHub Markdown, as the name's ending says.

    The template knows it by its own name: `report` in `report.html`, `comment` in `comment.md`.
    """
    name, _, ending = template_name.partition(".")
    environment = _environment("html" if ending == "html" else "markdown")
    return environment.get_template(f"{template_name}.j2").render({name: context})


def atom(feed: object) -> str:
    """A feed through `templates/site/feed.atom.j2`. What XML forbids is made visible like all that no one can see."""
    return _environment("html").get_template("site/feed.atom.j2").render(feed=feed)


@cache
def _environment(outlet: Literal["html", "markdown"]) -> Environment:
    environment = Environment(
        loader=PackageLoader("bot"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_html if outlet == "html" else _markdown,
    )
    environment.filters |= {
        "csp_hash": _csp_hash,
        "count": count,
        "fence": _fence,
        "code": Code,
        "element": _element,
        "clip": clip,
        "link": _link,
    }
    environment.tests["code"] = _is_code
    environment.globals |= {"VERDICTS": VERDICTS, "Verdict": Verdict, "WHATS": WHATS}
    return environment


def _html(value: object) -> object:
    """Characters that hide or reorder text become visible; Jinja's autoescape does the rest."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _markdown(value: object) -> object:
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return Markup(markdown_code(value) if _is_code(value) else markdown_text(value))  # noqa: S704 - both escape


def _is_code(value: object) -> bool:
    return isinstance(value, Code)


def _fence(text: str) -> Markup:
    return Markup(markdown_fence(text))  # noqa: S704 - a fence is inert


def _element(text: str) -> Markup:
    return Markup(html_code(text))  # noqa: S704 - it escapes


def _link(text: str, url: str) -> Markup:
    """`text` linked to `url`, a page of GitHub; just `text` where that is no plain address."""
    plain = re.fullmatch(r"https?://[\w.:-]+/[\w./#?=&%-]*", url, re.ASCII)
    return Markup(f"[{markdown_text(text)}]({url})" if plain else markdown_text(text))  # noqa: S704 - both escape


def _csp_hash(text: str) -> Markup:
    """The Content-Security-Policy source that allows exactly this inline style or script."""
    digest = hashlib.sha256(text.encode()).digest()
    return Markup(f"'sha256-{base64.b64encode(digest).decode()}'")  # noqa: S704 - base64 alone
