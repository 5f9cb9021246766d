"""Asking the dashboard questions in a browser: the answer box, filters, following links and going back, and the keyboard."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from bot.site.data import urls
from matrix.model import Precision
from tests.support.browser import NO_SCRIPT, PHONE, Visitor
from tests.support.runs import cell
from tests.support.sites import four, pair, publish_quietly, site_index

pytestmark = pytest.mark.browser

ROUTER = "deepseek_v3:DeepseekV3ForCausalLM"
BROKEN = "transformers-5.5.4+deepspeed-0.19.8+torch-2.13.0+cpu"
"""The last release with the buffers bug: the stock loader loads the router wrong, and saves it right."""


def asked(page: Page) -> dict[str, str]:
    """What the address holds."""
    return {name: values[0] for name, values in parse_qs(urlsplit(page.url).query).items()}


def ask(page: Page, **question: str) -> None:
    for label, text in question.items():
        page.locator("form").get_by_label(label).fill(text)
    page.keyboard.press("Enter")


@pytest.mark.parametrize("visitor", ["served", "folder"], indirect=True)
def test_the_answer_is_in_the_address(visitor: Visitor) -> None:
    page = visitor.open(urls.START)
    answer = page.locator("#verdict")
    ask(page, Model="deepseek_v3", transformers="5.5.4", deepspeed="0.19.8")
    expect(answer).to_contain_text("Unsafe in float32 with transformers 5.5.4 + deepspeed 0.19.8")
    expect(answer).to_contain_text("Nearest safe: transformers 5.6.0 + deepspeed 0.19.8")
    question = {"model": "deepseek_v3", "transformers": "5.5.4", "deepspeed": "0.19.8", "device": "cpu"}
    assert asked(page) == question
    page.reload()
    expect(answer).to_contain_text("Unsafe in float32 with")


def test_going_back_brings_the_earlier_question_and_its_answer(visitor: Visitor) -> None:
    page = visitor.open(f"{urls.START}?model=deepseek_v3&transformers=5.5.4&deepspeed=0.19.8")
    answer, version = page.locator("#verdict"), page.locator("form").get_by_label("transformers")
    expect(answer).to_contain_text("Unsafe in float32 with")
    ask(page, transformers="5.6.0")
    expect(answer).to_contain_text("Safe in float32 with transformers 5.6.0")
    page.go_back()
    expect(answer).to_contain_text("Unsafe in float32 with")
    expect(version).to_have_value("5.5.4")
    page.go_forward()
    expect(answer).to_contain_text("Safe in float32 with transformers 5.6.0")


@pytest.mark.parametrize(
    ("model", "transformers", "words"),
    [
        ("deepseek_v3", "9.9.9", "Not measured"),
        ("nothing_like_it", "5.6.0", "in your own environment: zero3 check nothing_like_it"),
        ("<img src=x>", "", "<img src=x>"),
        ("deepseek", "5.6.0", "Which one?"),
        ("deepseek_v3", "", "It depends on the environment: safe in"),
        ("glm4_moe", "5.5.4", "Unsafe in float32 in both environments"),
    ],
)
def test_what_was_not_measured_is_never_called_safe(
    visitor: Visitor, model: str, transformers: str, words: str
) -> None:
    page = visitor.open(urls.START)
    ask(page, Model=model, transformers=transformers)
    expect(page.locator("#verdict")).to_contain_text(words)
    expect(page.locator("#verdict.safe")).to_have_count(0)


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        ((Precision.FLOAT32,), tuple(Precision)[:2], "Safe in float32 in both environments"),
        ((Precision.FLOAT32,), (Precision.BF16,), "It depends on the environment: safe in 2 of 2"),
    ],
)
def test_environments_are_only_called_safe_in_a_precision_that_all_of_them_passed_in(
    tmp_path: Path, browser: Browser, first: tuple[Precision, ...], second: tuple[Precision, ...], words: str
) -> None:
    trained = {"5.6.0": first, "5.7.0": second}
    cells = [
        cell(*(replace(case, precision=one) for one in precisions for case in four()), environment=pair(version))
        for version, precisions in trained.items()
    ]
    publish_quietly(site_index(*cells), tmp_path)
    page = Visitor(browser, f"{tmp_path.as_uri()}/").open(f"{urls.START}?model=deepseek_v3")
    expect(page.locator("#verdict")).to_contain_text(words)


def test_a_class_that_a_version_lacks_has_no_tensors_to_look_at_but_safe_pairs(visitor: Visitor) -> None:
    page = visitor.open(f"{urls.START}?model=glm4_moe&transformers=4.49.0&deepspeed=0.19.8")
    answer = page.locator("#verdict.unknown")
    expect(answer).to_contain_text("No such class in transformers 4.49.0 + deepspeed 0.19.8 on cpu")
    expect(answer).to_contain_text("This version of transformers does not have glm4_moe:Glm4MoeForCausalLM.")
    expect(answer).to_contain_text("Nearest safe: transformers 5.6.0 + deepspeed 0.19.8")
    expect(answer.get_by_role("link", name="Tensors")).to_have_count(0)
    page.locator("form").get_by_label("transformers").fill("")
    page.keyboard.press("Enter")
    expect(page.locator("#verdict li", has_text="4.49.0")).to_contain_text("? No such class in this version")


def test_the_example_is_offered_until_something_is_asked(visitor: Visitor) -> None:
    page = visitor.open(urls.START)
    example = page.locator("#example")
    example.get_by_role("link", name="deepseek_v3 with transformers 5.5.4 and deepspeed 0.19.8").click()
    expect(page.locator("#verdict")).to_contain_text("Unsafe in float32 with transformers 5.5.4 + deepspeed 0.19.8")
    expect(example).to_be_hidden()
    page.go_back()
    expect(example).to_be_visible()


def test_a_command_is_copied_as_it_is_and_no_option_is_broken(visitor: Visitor) -> None:
    page = visitor.open(urls.cases(BROKEN, ROUTER), viewport=PHONE)
    command = page.locator(".command").first
    environment = BROKEN.removesuffix("+cpu")
    case = f"--architecture '{ROUTER}' --loader stock --check load --precision float32 --again"
    told = f"zero3 run --environment {environment} --device cpu {case}"
    assert command.inner_text() == told
    heights = command.locator("span").evaluate_all("all => all.map((one) => one.offsetHeight)")
    words = dict(zip(told.split(" "), heights, strict=True))
    assert words["--again"] == words["zero3"] < words[environment]


def test_the_list_of_environments_fits_a_phone(visitor: Visitor) -> None:
    page = visitor.open(urls.ENVIRONMENTS, viewport=PHONE)
    expect(page.get_by_role("columnheader", name="Measured")).to_be_in_viewport(ratio=1)


def test_the_answer_leads_to_the_case_the_cause_and_a_safe_pair(visitor: Visitor) -> None:
    page = visitor.open(f"{urls.START}?model=deepseek_v3&transformers=5.5.4&deepspeed=0.19.8")
    leads = page.locator("#verdict a").evaluate_all("all => all.map((one) => one.href)")
    paths = [lead.removeprefix(visitor.address) for lead in leads]
    assert urls.cases(BROKEN, ROUTER) in paths
    assert urls.cases(BROKEN.replace("5.5.4", "5.6.0"), ROUTER) in paths
    assert any(path.startswith("findings/") for path in paths)


def test_filters_are_in_the_address_and_go_back(visitor: Visitor) -> None:
    page = visitor.open(urls.environment(BROKEN))
    rows, every = page.locator(".row:visible"), page.locator(".row").count()
    page.locator("form").get_by_label("Verdict").select_option("corrupt")
    expect(rows).not_to_have_count(every)
    corrupt = rows.count()
    page.locator("form").get_by_label("Architecture").fill("MAMBA")
    page.keyboard.press("Enter")
    assert asked(page) == {"verdict": "corrupt", "text": "MAMBA"}
    expect(page.get_by_text(f"0 of {every} architectures")).to_be_visible()
    page.go_back()
    expect(rows).to_have_count(corrupt)
    page.go_back()
    expect(rows).to_have_count(every)
    page.go_forward()
    expect(rows).to_have_count(corrupt)
    page.reload()
    expect(rows).to_have_count(corrupt)
    expect(page.locator("form").get_by_label("Verdict")).to_have_value("corrupt")


def test_the_family_filter_leaves_that_family(visitor: Visitor) -> None:
    page = visitor.open(urls.environment(BROKEN))
    family = page.locator("tr", has_text="DeepseekV3ForCausalLM").get_attribute("data-family") or ""
    page.locator("form").get_by_label("Family").select_option(family)
    shown = page.locator(".row:visible").evaluate_all("all => all.map((one) => one.dataset.family)")
    assert set(shown) == {family}


def test_the_heat_map_switches_to_the_other_loader_and_back(visitor: Visitor) -> None:
    page = visitor.open(urls.START)
    page.locator(".switches").get_by_role("link", name="fixed").click()
    page.wait_for_url("**/heat/cpu-fixed-all.html")
    expect(page.locator(".switches [aria-current]", has_text="fixed")).to_be_visible()
    page.go_back()
    expect(page.locator(".switches [aria-current]", has_text="stock")).to_be_visible()


JOURNEY = [
    (".map a[title*='transformers 5.5.4 + deepspeed 0.19.8']", urls.environment(BROKEN)),
    (f".row:has-text('{ROUTER}') td a >> nth=0", urls.cases(BROKEN, ROUTER)),
    (".case a[href*=findings] >> nth=0", "findings/"),
    (f"section:has(#architectures) a:has-text('{ROUTER}')", urls.architecture(ROUTER)),
    ("nav a >> nth=0", urls.START),
]
"""What is clicked, and where that leads."""


@pytest.mark.parametrize("options", [{}, NO_SCRIPT], ids=["with JavaScript", "without"])
@pytest.mark.parametrize("visitor", ["served", "folder"], indirect=True)
def test_from_the_start_through_every_kind_of_page_and_back(visitor: Visitor, options: dict[str, Any]) -> None:
    page = visitor.open(urls.START, viewport=PHONE, **options)
    been = [page.url]
    for selector, leads_to in JOURNEY:
        page.locator(selector).first.click()
        expect(page).to_have_url(re.compile(re.escape(visitor.address + leads_to)))
        been.append(page.url)
    for address in reversed(been[:-1]):
        page.go_back()
        expect(page).to_have_url(address)


def test_without_javascript_links_answer_the_same_question(visitor: Visitor) -> None:
    page = visitor.open(urls.START, **NO_SCRIPT)
    expect(page.locator("form")).to_be_hidden()
    page.get_by_role("link", name="D", exact=True).click()
    page.get_by_role("link", name=ROUTER).click()
    safe = page.locator("section", has=page.get_by_role("heading", name="Safe pairs"))
    expect(safe.get_by_role("link", name="transformers 5.6.0 + deepspeed 0.19.8")).to_be_visible()


@pytest.mark.parametrize("visitor", ["served", "folder"], indirect=True)
@pytest.mark.parametrize("anchor", ["stock-load", "stock-save", "fixed-load", "fixed-save"])
def test_a_permalink_shows_its_case_also_after_a_reload(visitor: Visitor, anchor: str) -> None:
    page = visitor.open(f"{urls.cases(BROKEN, ROUTER)}#{anchor}", viewport=PHONE)
    for _ in range(2):
        expect(page.locator(f"#{anchor}")).to_be_in_viewport()
        expect(page.locator(":target")).to_contain_text(anchor.replace("-", " "), ignore_case=True)
        page.reload()


FOCUS = """() => {
  const one = document.activeElement, [box] = one.getClientRects();
  const hit = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
  const seen = getComputedStyle(one).outlineStyle !== "none" && (one.contains(hit) || hit?.contains(one));
  return {name: one.name ?? "", html: one.outerHTML.slice(0, 200), end: one === document.body, seen};
}"""
"""Whether somebody sees what has the focus: it has an outline, and nothing covers it."""


@pytest.mark.parametrize("path", [urls.START, urls.environment(BROKEN), urls.cases(BROKEN, ROUTER)])
def test_the_focus_is_seen_wherever_tab_leads(visitor: Visitor, path: str) -> None:
    page = visitor.open(path)
    for _ in range(40):
        page.keyboard.press("Tab")
        focus = page.evaluate(FOCUS)
        assert focus["seen"] or focus["end"], focus["html"]


def test_the_first_tab_skips_to_the_content(visitor: Visitor) -> None:
    page = visitor.open(urls.START)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.querySelector('main').contains(document.activeElement)")


def test_the_keyboard_alone_asks_and_follows_the_answer(visitor: Visitor) -> None:
    page = visitor.open(urls.START)
    while page.evaluate(FOCUS)["name"] != "model":
        page.keyboard.press("Tab")
    page.keyboard.type("deepseek_v3")
    page.keyboard.press("Tab")
    page.keyboard.type("5.5.4")
    page.keyboard.press("Enter")
    answer = page.get_by_role("status").filter(has_text="deepseek_v3")
    expect(answer).to_be_visible()


@pytest.mark.parametrize("visitor", ["served", "folder"], indirect=True)
def test_when_the_nights_stop_nothing_stays_safe(visitor: Visitor) -> None:
    question = f"{urls.START}?model=deepseek_v3&transformers=5.6.0&deepspeed=0.19.8"
    safe = visitor.open(question, day="2027-01-09")  # 45 days after the newest night
    expect(safe.locator("#verdict")).to_contain_text("Safe in float32 with transformers 5.6.0")
    expect(safe.locator(".map a.stale")).to_have_count(0)
    page = visitor.open(question, day="2027-01-10")
    expect(page.locator("#verdict")).to_contain_text("Not known with transformers 5.6.0")
    expect(page.locator("#verdict")).to_contain_text("measured more than 45 days ago")
    expect(page.locator("#verdict")).to_contain_text("No measured environment is known to be safe")
    expect(page.locator(".map a")).to_have_count(page.locator(".map a.stale").count())
    expect(page.get_by_text("Results that are more than 45 days old are grey, and never called safe")).to_be_visible()


def test_when_the_nights_stop_the_safe_pairs_say_that_they_are_stale(visitor: Visitor) -> None:
    page = visitor.open(urls.architecture(ROUTER), day="2027-01-10")
    safe = page.locator("section", has=page.get_by_role("heading", name="Safe pairs")).locator("li[data-night]")
    texts = safe.all_text_contents()
    assert texts
    assert all(text.endswith("no longer called safe") for text in texts)
    expect(page.locator("main.stale")).to_be_visible()
