"""The only module that uses Jinja. It escapes every value for its outlet by default, so templates need not."""

import base64
import hashlib
import re
from collections.abc import Callable, Hashable
from datetime import date
from functools import cache, lru_cache
from pathlib import Path
from typing import Final, Literal

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup, escape

from bot.text import (
    Code,
    capitalize,
    clip,
    count,
    escape_markdown,
    render_html_code,
    render_json,
    render_markdown_code,
    render_markdown_fence,
)
from bot.verdict_words import WHATS, is_absent, is_failing
from matrix.checks import CHECKS
from matrix.model import Loader
from matrix.text import make_visible
from matrix.verdicts import Verdict

_TEMPLATES: Final = Path(__file__).with_name("templates")
_PLAIN: Final = re.compile(r"https?://[\w.:-]+/[\w./#?=&%-]*", re.ASCII)


def render(template_name: str, context: object) -> str:
    """Renders `context` with `templates/<template_name>.j2`: HTML or GitHub Markdown, as the name's ending says.

    The template knows it by its own name: `report` in `report.html`, `comment` in `comment.md`.
    """
    name, _, ending = template_name.partition(".")
    environment = _environment("html" if ending == "html" else "markdown")
    return environment.get_template(f"{template_name}.j2").render({name: context})


def render_feed(feed: object) -> str:
    """Renders a feed with `templates/site/feed.atom.j2`. Characters that XML forbids are made visible, as all invisible ones are."""
    return _environment("html").get_template("site/feed.atom.j2").render(feed=feed)


def render_page(page: object, template: str, navigation: Hashable) -> str:
    """Renders a page of the site through `templates/site/<template>.html.j2`, which knows it as `page`."""
    return _site().get_template(f"site/{template}.html.j2").render(page=page, navigation=navigation)


def render_asset(name: str) -> str:
    """Returns `templates/<name>`, a style sheet or a script, with the colours of all verdicts where it asks for them."""
    return _environment("html").get_template(name).render()


def _read_template(name: str) -> tuple[str, str, None]:
    """Returns a template and its path; raises FileNotFoundError, which names the file that is missing in the installation."""
    path = _TEMPLATES / name
    return path.read_text(encoding="utf-8"), str(path), None


@cache
def _environment(outlet: Literal["html", "markdown"]) -> Environment:
    environment = Environment(
        loader=FunctionLoader(_read_template),
        autoescape=True,
        auto_reload=False,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_html if outlet == "html" else _markdown,
    )
    environment.filters |= {
        "csp_hash": _csp_hash,
        "data": _data,
        "day": _day,
        "capital": capitalize,
        "words_whole": _words_whole,
        "count": count,
        "fence": _fence,
        "code": Code,
        "element": _element,
        "clip": clip,
        "link": _link,
        "address": _address,
        "issue": _issue,
        "once": _once,
    }
    environment.tests |= {"absent": is_absent, "code": _is_code, "failing": is_failing}
    environment.globals |= {"CHECKS": CHECKS, "Loader": Loader, "Verdict": Verdict, "WHATS": WHATS}
    return environment


@cache
def _site() -> Environment:
    """Returns the environment for pages, with the common macros as globals: importing them takes a sixth of a page's time."""
    site = _environment("html").overlay()
    site.globals = dict(site.globals)
    site.globals |= {"parts": _macros(site, "_parts"), "cases": _macros(site, "_case")}
    return site


def _macros(site: Environment, name: str) -> object:
    return site.get_template(f"site/{name}.html.j2").module


def _html(value: object) -> object:
    """Makes characters that hide or reorder text visible; Jinja's autoescape does the rest."""
    return make_visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


@lru_cache(2048, typed=True)  # pages have most of them in common
def _once(macro: Callable[..., Markup], *values: Hashable) -> Markup:
    """Renders a `macro` with `values` of ours, once for equal ones."""
    return macro(*values)


@cache
def _day(day: date) -> Markup:
    return Markup('<time datetime="{0}">{0}</time>').format(day)


def _words_whole(text: str) -> Markup:
    """Puts each word of `text` into an element of its own."""
    words = str(escape(make_visible(text))).replace(" ", "</span> <span>")
    return Markup(f"<span>{words}</span>")  # noqa: S704 - all words are escaped


def _markdown(value: object) -> object:
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return Markup(render_markdown_code(value) if _is_code(value) else escape_markdown(value))  # noqa: S704 - both escape


def _is_code(value: object) -> bool:
    return isinstance(value, Code)


def _fence(text: str) -> Markup:
    return Markup(render_markdown_fence(text))  # noqa: S704 - a fence is inert


def _element(text: str) -> Markup:
    return Markup(render_html_code(text))  # noqa: S704 - it escapes


def _link(text: str, url: str) -> Markup:
    """Links `text` to `url`, a page of GitHub; returns only the text where the address is not a plain one."""
    plain = _PLAIN.fullmatch(url)
    return Markup(f"[{escape_markdown(text)}]({url})" if plain else escape_markdown(text))  # noqa: S704 - both escape


def _address(url: str) -> str:
    """Returns `url` if it is a plain address of a page, else one that leads nowhere."""
    return url if _PLAIN.fullmatch(url) else "#"


def _issue(url: str) -> str:
    """Returns `transformers #45402` for the address of an issue or pull request on GitHub, else the address."""
    found = re.fullmatch(r"https://github\.com/[\w.-]+/([\w.-]+)/(?:pull|issues)/(\d+)", url, re.ASCII)
    return f"{found[1]} #{found[2]}" if found else url


def _data(value: object) -> Markup:
    """Renders a context as JSON inside a script element of data: nothing in it can end the element."""
    text = render_json(value).translate({ord(c): f"\\u{ord(c):04x}" for c in "<>&"})
    return Markup(text)  # noqa: S704 - JSON without what is markup


def _csp_hash(text: str) -> Markup:
    """Returns the Content-Security-Policy source that allows exactly this inline style or script."""
    digest = hashlib.sha256(text.encode()).digest()
    return Markup(f"'sha256-{base64.b64encode(digest).decode()}'")  # noqa: S704 - base64 alone
