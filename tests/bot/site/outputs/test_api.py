"""The API of the site: described by its schema, the same as the snapshot, and inert."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from bot.site.data import urls
from bot.site.data.site_index import SiteIndex
from bot.site.outputs.api import build_api, build_schema
from tests.support.runs import BERT, ROUTER
from tests.support.sites import hostile, pair, site_index, small

SCHEMA = Path(__file__).parents[4] / "docs/api.schema.json"


def api(site: SiteIndex) -> dict[str, Any]:
    return {path: json.loads(content) for path, content in build_api(site)}


def test_the_schema_in_the_documentation_is_that_of_the_site() -> None:
    """`python -m bot dashboard` writes it as api/v1/schema.json: copy it when the dataclasses changed."""
    assert json.loads(SCHEMA.read_text(encoding="utf-8")) == build_schema() == api(small())["api/v1/schema.json"]


@pytest.mark.parametrize("site", [small(), hostile(), site_index()], ids=["small", "hostile", "empty"])
def test_every_file_is_as_the_schema_says(site: SiteIndex) -> None:
    validator = Draft202012Validator(build_schema())
    for path, content in api(site).items():
        if not path.endswith("schema.json"):
            validator.validate(content)


def test_hostile_text_is_ascii() -> None:
    assert all(content.isascii() for _, content in build_api(hostile()))


def architectures(files: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for entry in files[urls.API]["architectures"]:
        yield entry["id"], files[entry["file"]]


def test_the_index_names_every_environment_and_the_file_of_every_architecture() -> None:
    files = api(small())
    assert [one["transformers"] for one in files[urls.API]["environments"]] == ["9.9.9", "5.6.0", "5.5.4"]
    assert {name: file["id"] for name, file in architectures(files)} == {ROUTER: ROUTER, BERT: BERT}
    assert [one["verdict"] for one in files[urls.API]["verdicts"]][:2] == ["corrupt", "narrowed"]


def test_a_case_has_its_verdict_page_and_failures() -> None:
    file = dict(architectures(api(small())))[ROUTER]
    found = next(one for one in file["cases"] if one["verdict"] != "pass")
    page = f"{urls.cases(pair('5.5.4').id, ROUTER)}#stock-load"
    assert (found["verdict"], found["wrong"], found["page"]) == ("corrupt", 1, page)
    assert found["failures"] == [one["id"] for one in file["failures"]] == ["findings/buffers-skipped.html"]
    assert file["failures"][0]["issues"]
