"""What both sides compute: the change, its base, and the models that take code from each other."""

from pathlib import Path

import pytest

from bot.github.types import CommitComparison
from bot.pull_requests.assess import MODELS, assess, render_model_graph
from matrix.catalog.catalog import load_catalog
from matrix.comparison.compare import Role
from tests.support.github.client import NAME, opened
from tests.support.github.state import File, Pull, Repository, State

LOADER = File("src/transformers/integrations/deepspeed.py", patch=None)
ROUTER, CONTROL = "deepseek_v3:DeepseekV3ForCausalLM", "llama:LlamaForCausalLM"


@pytest.mark.measured
def test_the_graph_is_that_of_the_newest_release(newest: Path) -> None:
    (folder,) = newest.parents[1].glob("lib/python*/site-packages/transformers")
    assert render_model_graph(folder) == MODELS.read_text()


def test_base_is_where_the_head_branched_off() -> None:
    with opened(State([Repository(NAME, pulls=[Pull(5, merge_base="c" * 40, files=[LOADER])])])) as (_, github):
        assessed = assess(github, github.fetch_pull_request(NAME, 5))
    (pair, *_) = assessed.plan.jobs
    assert assessed.plan.base_sha == "c" * 40
    assert next(side for side in pair.revisions if side.role is Role.BASE).pins["transformers"].endswith("c" * 40)


@pytest.mark.parametrize(
    ("selector", "measured"),
    [((), len(load_catalog())), ((CONTROL,), 3), (("segformer:*",), 2)],
    ids=["all", "one", "a canary"],
)
def test_a_selector_narrows_and_keeps_the_canaries(selector: tuple[str, ...], measured: int) -> None:
    with opened(State([Repository(NAME, pulls=[Pull(5, files=[LOADER])])])) as (_, github):
        (pair, *_) = assess(github, github.fetch_pull_request(NAME, 5), selector).plan.jobs
    assert len(pair.architectures) == measured
    assert ROUTER in pair.architectures


def test_a_selector_of_what_is_not_affected_measures_nothing() -> None:
    model = File(
        "src/transformers/models/resnet/modeling_resnet.py", patch="@@ -1 +1 @@\n+        self.x = nn.Buffer(y)"
    )
    with opened(State([Repository(NAME, pulls=[Pull(5, files=[model])])])) as (_, github):
        assert assess(github, github.fetch_pull_request(NAME, 5)).plan.jobs
        assert not assess(github, github.fetch_pull_request(NAME, 5), (CONTROL,)).plan.jobs


@pytest.mark.parametrize(("head", "everything"), [("b" * 40, False), ("e" * 40, True)])
def test_the_files_of_another_head_are_not_taken_for_all_of_a_large_change(head: str, *, everything: bool) -> None:
    files = [File(f"docs/{number}.md") for number in range(301)]
    with opened(State([Repository(NAME, pulls=[Pull(5, files=files)])])) as (server, github):
        pull = github.fetch_pull_request(NAME, 5)
        other = Pull(5, head_sha=head, files=files)
        before = github.compare_commits

        def moved(*asked: str) -> CommitComparison:
            answer = before(*asked)
            server.state.repositories[0].pulls = [other]
            return answer

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(github, "compare_commits", moved)
            assert assess(github, pull).affected.everything is everything
