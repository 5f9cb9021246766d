"""From a pull request to what is measured: the pins of every revision, the architectures, and the matrix for GitHub."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from bot.github.types import PullRequest, Revision
from bot.loading_code.affected import Affected, Touched
from bot.pull_requests.commit_sources import CommitSources, RevisionError
from bot.pull_requests.plan import (
    CANARIES,
    MAX_JOBS,
    TooManyJobsError,
    build_github_matrix,
    build_plan,
    describe_unplanned,
    list_expected_cases,
)
from matrix.catalog.catalog import load_catalog
from matrix.checks import CHECKS
from matrix.comparison.compare import Role
from matrix.comparison.plan import ComparisonJob, ComparisonPlan
from matrix.environments.choose import load_environments
from matrix.environments.pins import build_requirement
from matrix.environments.spec import Environment
from matrix.errors import UnknownNameError
from matrix.model import Architecture, CaseKey, Check, Loader, Precision

CATALOG = load_catalog()
ENVIRONMENTS = load_environments()
BASE, HEAD = "b" * 40, "a" * 40
NEWEST = {"transformers": "5.24.0", "deepspeed": "0.19.8"}
TOUCHED = (Touched("src/transformers/modeling_utils.py", "from_pretrained", (1, 9), "it loads"),)


def affected(*models: str, everything: bool = False, checks: tuple[Check, ...] = tuple(CHECKS)) -> Affected:
    return Affected(touched=TOUCHED, everything=everything, models=models, checks=checks)


def pull_request(repository: str = "huggingface/transformers", fork: str = "someone/transformers") -> PullRequest:
    return PullRequest(repository, 7, Revision(repository, BASE), Revision(fork, HEAD), "fix")


def planned(request: PullRequest | None = None, *models: str) -> ComparisonPlan:
    return build_plan(request or pull_request(), affected(*models), CATALOG, ENVIRONMENTS)


def pins(comparison: ComparisonPlan) -> dict[Role, dict[str, str]]:
    return {side.role: dict(side.pins) for duel in comparison.jobs for side in duel.revisions}


def test_a_pull_request_of_transformers_is_measured_beside_two_releases_of_deepspeed_and_two_references() -> None:
    base = f"git+https://github.com/huggingface/transformers@{BASE}"
    head = f"git+https://github.com/someone/transformers@{HEAD}"
    comparison = planned()
    assert (comparison.repository, comparison.number) == ("huggingface/transformers", 7)
    assert (comparison.base_sha, comparison.head_sha) == (BASE, HEAD)
    assert [duel.name for duel in comparison.jobs] == ["pair", "newest", "last-broken"]
    assert pins(comparison) == {
        Role.BASE: {"transformers": base, "deepspeed": "0.19.8"},
        Role.HEAD: {"transformers": head, "deepspeed": "0.19.8"},
        Role.BASE_OTHER: {"transformers": base, "deepspeed": "0.18.9"},
        Role.HEAD_OTHER: {"transformers": head, "deepspeed": "0.18.9"},
        Role.NEWEST: NEWEST,
        Role.LAST_BROKEN: {"transformers": "5.5.4", "deepspeed": "0.19.8"},
    }


def test_a_pull_request_of_deepspeed_is_measured_beside_two_releases_of_transformers() -> None:
    found = pins(planned(pull_request("deepspeedai/DeepSpeed", "someone/DeepSpeed")))
    head = f"git+https://github.com/someone/DeepSpeed@{HEAD}"
    assert found[Role.HEAD] == {"transformers": "5.24.0", "deepspeed": head}
    assert found[Role.HEAD_OTHER] == {"transformers": "5.23.0", "deepspeed": head}
    assert (found[Role.NEWEST], found[Role.LAST_BROKEN]["deepspeed"]) == (NEWEST, "0.19.8")


@pytest.mark.parametrize(
    ("repository", "package", "where"),
    [
        ("huggingface/accelerate", "accelerate", ""),
        ("huggingface/safetensors", "safetensors", "#subdirectory=bindings/python"),
        ("microsoft/DeepSpeed", "deepspeed", ""),
        ("someone/ZERO3-matrix", "zero3-matrix", ""),
    ],
)
def test_another_package_is_pinned_at_its_commits(repository: str, package: str, where: str) -> None:
    found = pins(planned(pull_request(repository, repository)))
    address = f"git+https://github.com/{repository}@"
    assert found[Role.BASE] == {**NEWEST, package: f"{address}{BASE}{where}"}
    assert found[Role.HEAD] == {**NEWEST, package: f"{address}{HEAD}{where}"}
    assert found[Role.BASE_OTHER] == {**found[Role.BASE], "transformers": "5.23.0"}
    assert build_requirement(package, found[Role.HEAD][package]) == f"{package} @ {address}{HEAD}{where}"


def test_the_references_of_this_project_are_measured_by_its_head() -> None:
    own = "someone/zero3-matrix"
    found = pins(planned(pull_request(own, own)))
    assert found[Role.LAST_BROKEN]["zero3-matrix"] == found[Role.HEAD]["zero3-matrix"]
    assert found[Role.NEWEST] == found[Role.HEAD]


def test_repositories_may_lie_elsewhere_under_other_names() -> None:
    sources = CommitSources("file:///srv/git/", {"hf-transformers": "transformers"})
    request = pull_request("local/hf-transformers", "fork/hf-transformers")
    found = pins(build_plan(request, affected(), CATALOG, ENVIRONMENTS, sources))
    assert found[Role.HEAD]["transformers"] == f"git+file:///srv/git/fork/hf-transformers@{HEAD}"


def test_the_head_of_a_deleted_fork_is_fetched_from_where_the_pull_request_is() -> None:
    head = pins(planned(pull_request(fork="")))[Role.HEAD]["transformers"]
    assert head == f"git+https://github.com/huggingface/transformers@{HEAD}"


def test_a_repository_of_no_known_package_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="unknown repository 'a/torch'"):
        planned(pull_request("a/torch", "a/torch"))


@pytest.mark.parametrize(
    "head",
    [
        Revision("someone/transformers", "main"),
        Revision("someone/transformers", HEAD + "\n"),
        Revision("someone/transformers", HEAD.upper()),
        Revision("someone/../etc/transformers", HEAD),
        Revision("some one/transformers", HEAD),
        Revision("--index-url=x/transformers", HEAD),
        Revision("a@evil.example/transformers", HEAD),
        Revision("someone/transformers#egg=x", HEAD),
    ],
)
def test_what_is_no_exact_commit_never_reaches_the_installer(head: Revision) -> None:
    with pytest.raises(RevisionError, match="is not a commit"):
        planned(replace(pull_request(), head=head))


def architectures(*models: str, everything: bool = False) -> set[str]:
    comparison = build_plan(pull_request(), affected(*models, everything=everything), CATALOG, ENVIRONMENTS)
    (measured,) = {duel.architectures for duel in comparison.jobs}
    return {name.partition(":")[0] for name in measured}


@pytest.mark.parametrize(
    ("models", "expected"),
    [
        ((), set()),
        (("bert",), {"bert"}),
        (("dab_detr",), {"dab-detr"}),
        (("rt_detr",), {"rt_detr", "rt_detr_resnet", "rt_detr_v2"}),
        (("deepseek_v3", "parakeet"), {f"parakeet_{part}" for part in ("ctc", "encoder", "rnnt", "tdt")}),
        (("no_such_model",), set()),
    ],
)
def test_a_models_own_change_measures_it_and_the_canaries(models: Sequence[str], expected: set[str]) -> None:
    assert architectures(*models) == expected | {"deepseek_v3", "segformer"}


def test_a_change_of_everything_measures_the_catalog_in_its_order() -> None:
    comparison = build_plan(pull_request(), affected(everything=True), CATALOG, ENVIRONMENTS)
    assert comparison.jobs[0].architectures == tuple(entry.id for entry in CATALOG)


def test_the_canaries_are_a_router_and_a_batchnorm_of_the_catalog() -> None:
    assert {entry.family for entry in CATALOG if entry.id in CANARIES} == {"router", "batchnorm"}


def test_what_the_catalog_does_not_know_is_said() -> None:
    words = describe_unplanned(affected("bert", "new\x1bmodel", "new\x1bmodel"), CATALOG)
    named = r"the catalog has no architecture of new\x1bmodel: loading these models is not measured"
    assert words == (named,)
    assert not describe_unplanned(affected("bert"), CATALOG)


def test_of_many_unknown_models_a_few_are_named() -> None:
    (words,) = describe_unplanned(affected(*(f"new{number}" for number in range(10))), CATALOG)
    assert "new7 and 2 more" in words


def test_no_loading_code_no_jobs() -> None:
    nothing = Affected(touched=(), everything=False, models=(), checks=())
    comparison = build_plan(pull_request(), nothing, CATALOG, ENVIRONMENTS)
    assert (comparison.jobs, build_github_matrix(comparison)) == ((), {"include": []})


def test_the_cases_of_each_job_are_those_of_the_affected_checks() -> None:
    tiny = [Architecture(CANARIES[0], "router")]
    comparison = build_plan(pull_request(), affected(checks=(Check("save"),)), tiny, ENVIRONMENTS)
    load, *saves = (
        CaseKey(CANARIES[0], Loader.STOCK, Check(check), precision)
        for check, precision in (
            ("load", Precision.FLOAT32),
            ("save", Precision.FLOAT32),
            ("save", Precision.BF16),
        )
    )
    both = tuple(saves)
    assert list_expected_cases(comparison) == {"pair": both, "newest": both, "last-broken": (load,)}


def test_github_gets_every_job_and_never_more_than_it_runs() -> None:
    assert build_github_matrix(planned()) == {
        "include": [{"duel": "pair"}, {"duel": "newest"}, {"duel": "last-broken"}]
    }
    many = tuple(ComparisonJob(str(number), (), ()) for number in range(MAX_JOBS + 1))
    assert len(build_github_matrix(ComparisonPlan("a/b", 1, BASE, HEAD, many[1:]))["include"]) == MAX_JOBS
    with pytest.raises(TooManyJobsError, match="257 comparison jobs"):
        build_github_matrix(ComparisonPlan("a/b", 1, BASE, HEAD, many))


def environment(transformers: str, deepspeed: str, *sets: str) -> Environment:
    return Environment(transformers, deepspeed, "2.13.0", sets=sets)


def test_the_older_release_is_the_last_of_an_earlier_line_that_is_measured_with_the_newest() -> None:
    known = [
        environment("6.0.0", "0.20.1", "default"),
        environment("6.0.0", "0.20.0"),
        environment("6.0.0", "0.9.5"),
        environment("6.0.0", "0.18.10"),
        environment("6.0.0", "0.18.9"),
        environment("5.0.0", "0.19.8", "last-broken"),
    ]
    assert pins(build_plan(pull_request(), affected(), CATALOG, known))[Role.HEAD_OTHER]["deepspeed"] == "0.18.10"
    alone = pins(build_plan(pull_request(), affected(), CATALOG, [known[0], known[-1]]))
    assert alone.keys() == {Role.BASE, Role.HEAD, Role.NEWEST, Role.LAST_BROKEN}


def test_without_the_last_broken_release_nothing_is_planned() -> None:
    with pytest.raises(UnknownNameError, match="unknown set of environments 'last-broken'"):
        build_plan(pull_request(), affected(), CATALOG, [environment("6.0.0", "0.20.1", "default")])


def test_one_pair_of_the_real_environments_is_the_last_broken() -> None:
    assert [(e.transformers, e.deepspeed) for e in ENVIRONMENTS if "last-broken" in e.sets] == [("5.5.4", "0.19.8")]
