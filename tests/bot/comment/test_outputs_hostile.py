import re
from collections.abc import Iterator
from html.parser import HTMLParser

import cmarkgfm
import pytest
from cmarkgfm.cmark import Options
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.comment.context import CommentView, Facts
from bot.comment.outputs import build_check_run, build_view, render_comment, render_summary
from bot.comment.shorten import UTF16_LIMIT
from bot.loading_code.affected import Touched
from bot.text import Code
from bot.untrusted.artifacts import Rejected
from matrix.advice.known import load_known
from matrix.checks import CHECKS
from matrix.comparison.compare import ComparedCase, Comparison, Role
from matrix.comparison.outcome import Attribution, Outcome
from matrix.comparison.plan import PlannedRevision
from matrix.model import Case, CaseKey, Check, EnvironmentInfo, Failure, Finding, Kind, Loader, Run, Tensors, What
from matrix.verdicts import Verdict
from tests.support.comparisons import HEAD, facts, plan
from tests.support.runs import cell, info

REPORT = "https://github.com/o/r/actions/runs/1"
UPSTREAM = {url.replace("github.com", "redirect.github.com") for one in load_known() for url in one.issues}
OURS = {
    "p",
    "strong",
    "table",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
    "code",
    "pre",
    "ul",
    "li",
    "details",
    "summary",
    "a",
}
TRICKS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=a>",
    "![i](http://a.b/c.png)",
    "[x](http://a.b)",
    "[x]: http://a.b",
    "http://a.b www.a.b mailto:a@b.cd",
    "a@b.cd|http://a.b www.a.b mailto:a@b.cd xmpp:a@b.cd `@octocat #1",
    "@octocat",
    "#1 GH-1 o/r#1",
    "closes #1",
    "b" * 40,
    "\n\n# heading\n===\n---\n",
    "\r\n| a | b |\n| --- | --- |\n",
    "</details></summary>",
    "<details><summary>",
    "``` ```` ~~~",
    "`a`` ",
    "\\| \\` \\",
    "*a* _b_ ~~c~~ **",
    "<!-- zero3-matrix {} -->",
    "-->",
    "&lt;img&gt; &#64;a &#124;",
    "\x00\x1b[31m\u202e\u2066\ud800\u200b",
    "\U0001d54f" * 30,
    "x" * 5_000,
    "::error::a",
    "{{ 7*7 }}",
]


class Page(HTMLParser):
    """What GitHub's parser makes of a comment: elements, links, and the text outside of code."""

    def __init__(self, body: str) -> None:
        super().__init__()
        self.elements: set[str] = set()
        self.links: list[str | None] = []
        self.outside = ""
        self.cells: list[int] = []
        self.open: list[str] = []
        self.feed(cmarkgfm.github_flavored_markdown_to_html(body, options=Options.CMARK_OPT_UNSAFE))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.open.append(tag)
        self.links += [value for name, value in attrs if name in {"href", "src"}]
        if tag == "tr":
            self.cells.append(0)
        self.cells[-1:] = [cells + (tag in {"td", "th"}) for cells in self.cells[-1:]]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)

    def handle_data(self, data: str) -> None:
        self.outside += data if "code" not in self.open else "\N{OBJECT REPLACEMENT CHARACTER}"


def tables(body: str) -> Iterator[list[str]]:
    """The lines of each table."""
    for block in re.findall(r"(?:^\|.*\n)+", body, re.MULTILINE):
        yield block.splitlines()


def assert_harmless(body: str) -> None:
    page = Page(body)
    assert page.elements <= OURS
    assert not page.open
    assert set(page.links) <= {REPORT, *UPSTREAM}
    assert not re.search(r"@\w|#\d|GH-\d|\w@\w|://|www\.|[0-9a-f]{7}", page.outside, re.IGNORECASE)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", body)
    assert len(re.findall("^<details>$", body, re.MULTILINE)) == len(re.findall("^</details>$", body, re.MULTILINE))
    assert len(page.cells) == sum(len(table) - 1 for table in tables(body))
    assert set(page.cells) <= {3, 8}


def assert_rows_fill_their_heads(body: str) -> None:
    """Row by row: cmark drops cells beyond the head and fills missing ones, so count those that are written."""
    for head, _, *rows in tables(body):
        for row in rows:
            bare = re.sub("`[^`]*`|<code>.*?</code>", "x", row)
            assert bare.count("|") == head.count("|")


def assert_within_budget(body: str, limit: int = 60_000) -> None:
    assert len(body) <= limit
    assert len(body.encode("utf-16-le")) // 2 <= UTF16_LIMIT


TEXT = st.one_of(
    st.sampled_from(TRICKS),
    st.text(max_size=40),
    st.lists(st.sampled_from(TRICKS), max_size=4).map("".join),
    st.text(alphabet="`|\\<>@#[]()!*_~-=+:/. \n&;a1", max_size=30),
)
RANKS = st.lists(st.integers(0, 4096), max_size=4, unique=True).map(tuple)
SCALARS = st.lists(st.one_of(TEXT, st.integers(), st.floats()), max_size=3).map(tuple)
COUNTS = st.integers(0, 10**30)
FINDINGS = st.builds(
    Finding,
    tensor=TEXT,
    what=st.sampled_from(What),
    site=TEXT,
    kind=st.sampled_from(Kind),
    ranks=RANKS,
    reported_missing=st.booleans(),
    expected=SCALARS,
    actual=SCALARS,
    elements=st.tuples(COUNTS, COUNTS),
    detail=TEXT,
)
FAILURES = st.builds(Failure, type=TEXT, message=TEXT, frame=TEXT, ranks=RANKS)
KEYS = st.builds(CaseKey, architecture=TEXT, loader=st.sampled_from(Loader), check=st.sampled_from(list(CHECKS)))


@st.composite
def cases(draw: st.DrawFn) -> Case:
    key = draw(KEYS)
    return Case(
        key.architecture,
        key.loader,
        key.check,
        draw(st.sampled_from(Verdict)),
        *key[3:],
        Tensors(),
        tuple(draw(st.lists(FINDINGS, max_size=3))),
        draw(st.none() | FAILURES),
        confirmed=draw(st.tuples(COUNTS, COUNTS)),
    )


COMPARED = st.builds(
    ComparedCase,
    key=KEYS,
    outcome=st.sampled_from(Outcome),
    reason=TEXT,
    cases=st.dictionaries(st.sampled_from(Role), cases(), max_size=3),
    attribution=st.sampled_from(Attribution),
)
INFO = st.builds(lambda a, b, size: info(a, deepspeed=b, torch=b, python=a, world_size=size), TEXT, TEXT, COUNTS)


def run(environment: EnvironmentInfo) -> Run:
    return Run((cell(environment=environment),))


COMPARISONS = st.builds(
    Comparison,
    compared=st.lists(COMPARED, max_size=6).map(tuple),
    runs=st.dictionaries(st.sampled_from(Role), INFO.map(run), max_size=3),
    errors=st.dictionaries(st.sampled_from(Role), FAILURES, max_size=2),
    detector=st.just("") | TEXT,
)
SENTENCES = st.lists(TEXT | TEXT.map(Code), max_size=3).map(tuple)
PLACES = st.builds(Touched, path=TEXT, symbol=TEXT, lines=st.none() | st.tuples(COUNTS, COUNTS), why=TEXT)
FACTS = st.builds(
    Facts,
    plan=st.builds(
        lambda pins: plan(PlannedRevision(Role.HEAD, pins), PlannedRevision(Role.NEWEST, pins)),
        st.dictionaries(TEXT, TEXT, max_size=2),
    ),
    touched=st.lists(PLACES, max_size=4).map(tuple),
    since=st.sampled_from(["", HEAD, "c" * 40]),
    report_url=st.sampled_from(["", REPORT, "javascript:alert(1)", "https://a.b/) ![x](https://c.d"]),
    notes=st.lists(SENTENCES, max_size=2).map(tuple),
    failed_jobs=st.lists(TEXT, max_size=2).map(tuple),
    commands=st.booleans(),
)
REFUSED = st.lists(st.builds(Rejected, job=TEXT, reason=SENTENCES), max_size=2)


@settings(max_examples=200, derandomize=True, suppress_health_check=list(HealthCheck))
@given(known=FACTS, found=COMPARISONS, refused=REFUSED, limit=st.sampled_from([60_000, 20_000, 8_000]))
def test_m1_m2_m3_whatever_was_measured_the_comment_is_harmless_and_fits(
    known: Facts, found: Comparison, refused: list[Rejected], limit: int
) -> None:
    shown = build_view(known, found, refused)
    for body in (render_comment(shown, limit), render_summary(shown, 65_535)):
        assert_harmless(body)
        assert_rows_fill_their_heads(body)
    assert_within_budget(render_comment(shown, limit), limit)
    assert len(build_check_run(shown).summary.encode()) <= 65_535


def hostile(text: str, number: int) -> CommentView:
    """As much as can be of everything, all of it `text`."""
    wrong = Finding(text, What.BUFFER, text, Kind.SHAPE, (0, 1), bool(number % 2), (text,), (text,), (1, 2), text)
    failure = Failure(text, text, text, (0,))

    def one(index: int, outcome: Outcome) -> ComparedCase:
        case = Case(text, Loader.FIXED, Check("load"), Verdict.CORRUPT, findings=(wrong,) * (index % 2), error=failure)
        measured = {} if outcome is Outcome.NOT_RUN else {Role.BASE: case, Role.HEAD: case}
        return ComparedCase(CaseKey(f"{index}{text}", Loader.FIXED, Check("load")), outcome, f"{index}{text}", measured)

    compared = tuple(one(index, outcome) for outcome in Outcome for index in range(number))
    found = Comparison(compared, {role: run(info(text)) for role in Role}, dict.fromkeys(Role, failure), text)
    sides = [PlannedRevision(role, {text: text}) for role in Role]
    known = facts(
        plan=plan(*sides), touched=(Touched(text, text, (1, 2), text),) * number, failed_jobs=(text,) * number
    )
    return build_view(known, found, [Rejected(text, (Code(text), text))] * number)


LONG = ["\U0001d54f" * 9_000, "|" * 9_000, "\ud800" * 9_000, "\U000e0001" * 9_000]


@pytest.mark.parametrize("text", [*LONG, *TRICKS], ids=lambda text: ascii(text[:20]))
def test_the_most_of_everything_fits_too(text: str) -> None:
    shown = hostile(text, 40)
    body = render_comment(shown)
    assert_within_budget(body)
    assert_harmless(body)
    assert_rows_fill_their_heads(body)
    assert re.search(r"not shown here: see the \[full report\]", body)
    assert_within_budget(render_comment(shown, 5_000), 5_000)
    assert_harmless(render_comment(shown, 5_000))


def test_text_from_outside_reaches_the_reader_verbatim() -> None:
    body = render_comment(hostile("<b>@a|b</b>", 1))
    html = cmarkgfm.github_flavored_markdown_to_html(body, options=Options.CMARK_OPT_UNSAFE)
    assert "<code>&lt;b&gt;@a|b&lt;/b&gt;</code>" in html.replace("</code><code>", "")
