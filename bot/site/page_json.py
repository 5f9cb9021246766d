"""PURE. The JSON beside each page, and the schema of all of it."""

import json
import re
from datetime import date
from typing import Any, Final

import orjson
from pydantic import TypeAdapter

from bot.site.data.page_types import Pages
from bot.site.data.views import Words

_BEYOND_ASCII: Final = re.compile(r"[^\x00-\x7f]+")


def twin(page: object) -> str:
    """The JSON of a page, or of a part of one: ASCII only, so that no text in it can be anything but data.

    A number that JSON does not have is null: a forged record may hold one.
    """
    try:
        text = orjson.dumps(page, default=_plain, option=orjson.OPT_APPEND_NEWLINE).decode()
    except TypeError:  # half a surrogate pair, or an integer of more than 64 bits
        finite = json.loads(json.dumps(page, default=_plain), parse_constant=lambda _: None)
        return json.dumps(finite, allow_nan=False, separators=(",", ":")) + "\n"
    return text if text.isascii() else _BEYOND_ASCII.sub(lambda found: json.dumps(found[0])[1:-1], text)


def _plain(value: object) -> object:
    if isinstance(value, date):
        return value.isoformat()
    return str(value) if isinstance(value, Words) else vars(value)


def schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of every page's JSON."""
    document = TypeAdapter(Pages).json_schema(mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **document}
