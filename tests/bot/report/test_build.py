import shlex
from dataclasses import replace
from typing import Any

import pytest

from bot.render import render
from bot.report.build import build_report
from bot.report.labels import format_command
from bot.text import strip_marks
from bot.verdict_words import describe_verdict
from matrix.advice.known import load_known
from matrix.checks import DEFAULT
from matrix.model import (
    Case,
    Check,
    Device,
    Failure,
    Kind,
    Loader,
    Note,
    Precision,
    ReportDifference,
    ReportLimit,
    ReportPart,
    Run,
)
from matrix.text import KINDS
from matrix.verdicts import Verdict
from tests.support.runs import BERT, RESOLVER, ROUTER, case, cell, finding, info


def test_columns_count_the_verdicts_of_each_environment_and_loader() -> None:
    cases = (case(verdict=Verdict.CORRUPT), case(BERT), case(loader=Loader.FIXED), case(BERT, loader=Loader.FIXED))
    columns = build_report(Run((cell(*cases),))).columns
    assert [(column.loader, dict(column.counts), column.measured) for column in columns] == [
        (Loader.STOCK, {Verdict.CORRUPT: 1, Verdict.PASS: 1}, 2),
        (Loader.FIXED, {Verdict.PASS: 2}, 2),
    ]


def test_a_heat_cell_is_the_worst_over_its_checks() -> None:
    row = build_report(Run((cell(case(), case(check=Check("save"), verdict=Verdict.CORRUPT)),))).architectures[0]
    assert row.cells[0].worst is Verdict.CORRUPT
    assert [view and view.verdict for view in row.cells[0].cases] == [Verdict.PASS, Verdict.CORRUPT]


def test_a_finding_in_words() -> None:
    found = build_report(Run((cell(case(verdict=Verdict.CORRUPT), case(BERT, Verdict.CORRUPT), case("a:B")),))).findings
    assert [(strip_marks(one.where), strip_marks(one.sentence)) for one in found] == [
        (
            "transformers 5.5.4 + deepspeed 0.19.8 on cpu, stock loader",
            (
                "in float32, 2 of 3 architectures load wrong values silently. Router.bias holds its initial value on ranks 0 and 1 "
                "(expected 0.296875, got 0.0). The loader reported it as missing."
            ),
        )
    ]


def test_a_finding_has_what_is_known_of_it_upstream() -> None:
    report = build_report(Run((cell(case(verdict=Verdict.CORRUPT)),)), known=load_known())
    assert [known.id for known in report.findings[0].known] == ["buffers-skipped"]
    link = "https://github.com/huggingface/transformers/pull/45402"
    for name, linked in {"report.md": f"45402]({link})", "report.html": f'<a href="{link}"'}.items():
        text = render(name, report)
        assert "Known upstream: persistent buffers are loaded on no rank; " in text
        assert linked in text
        assert "fixed in transformers 5.6.0." in text


@pytest.mark.parametrize(
    ("ranks", "world_size", "words"),
    [((1,), 2, "on rank 1 only"), ((0, 1), 2, "on ranks 0 and 1"), ((0, 1, 2, 3), 4, "on ranks 0 to 3")],
)
def test_ranks_in_words(ranks: tuple[int, ...], world_size: int, words: str) -> None:
    wrong = case(verdict=Verdict.CORRUPT, findings=(finding(ranks=ranks),))
    found = build_report(Run((cell(wrong, environment=info(world_size=world_size)),))).findings
    assert f"initial value {words} (" in strip_marks(found[0].sentence)


def test_a_wrong_report_in_words() -> None:
    lost = ReportDifference(ReportPart.MISSING, ("a", "b", "c", "d"), (), (4, 0), (0, 1))
    report = build_report(Run((cell(case(verdict=Verdict.MISREPORTED, report=(lost,))),)))
    told = "missing_keys on ranks 0 and 1 names what a plain load does not name: a, b, c and 1 more"
    assert strip_marks(report.findings[0].sentence).endswith(f": {told}.")
    assert [strip_marks(one) for one in report.architectures[0].evidence[0].differences] == [told]


def test_what_a_release_never_tells_is_said_once_for_its_environment() -> None:
    silent = info(report_limits={ReportPart.UNEXPECTED: ReportLimit.ALWAYS_EMPTY})
    views = build_report(Run((cell(case(), environment=silent), cell(case())))).environments
    assert ["unexpected_keys is always empty" in view.report_limits for view in views] == [True, False]


def rounded(precision: Precision, loader: Loader = Loader.STOCK, **other: Any) -> Case:
    values: dict[str, Any] = {"expected": (6.0012,), "actual": (6.0,), "at_stage_0": True, **other}
    found = finding(kind=Kind.ROUNDED, reported_missing=False, **values)
    return case(verdict=Verdict.NARROWED, precision=precision, loader=loader, findings=(found,))


def test_the_same_failure_in_several_precisions_is_one_finding_that_names_them() -> None:
    cases = [rounded(Precision.BF16), rounded(Precision.FP16, actual=(6.001,)), case()]
    report = build_report(
        Run((cell(*cases, case(BERT, precision=Precision.BF16), case(BERT, precision=Precision.FP16)),))
    )
    assert report.answer == "2 of 5 cases measured in float32, bf16 and fp16 went wrong: 2 narrowed."
    (found,) = report.findings
    assert strip_marks(found.sentence) == (
        "in bf16 and fp16, deepseek_v3:DeepseekV3ForCausalLM loads values rounded to a narrower dtype silently. "
        "Router.bias is rounded to a narrower dtype on ranks 0 and 1 (expected 6.0012, got 6.0). "
        "The loader did not report it. Without ZeRO-3, deepspeed.initialize rounds it too."
    )
    (row,) = report.failing(report.environments[0])
    assert (row.checks, len(row.cases)) == ("load in bf16 and fp16", 2)
    assert [(one.trained_in, one.measured) for one in report.rows(report.environments[0])] == [
        ("float32", 1),
        ("bf16", 2),
        ("fp16", 2),
    ]


def test_a_loader_is_not_said_to_fail_in_a_precision_that_it_is_right_in() -> None:
    cases = [rounded(Precision.BF16), rounded(Precision.FP16), rounded(Precision.BF16, Loader.FIXED)]
    found = build_report(Run((cell(*cases),))).findings
    assert [(strip_marks(one.where).split(", ")[1], strip_marks(one.sentence).split(",")[0]) for one in found] == [
        ("stock loader", "in bf16 and fp16"),
        ("fixed loader", "in bf16"),
    ]


def test_what_deepspeed_does_without_zero3_too_is_told_apart() -> None:
    by_zero3 = rounded(Precision.BF16, at_stage_0=False)
    (evidence,) = build_report(Run((cell(by_zero3),))).architectures[0].evidence
    assert (
        evidence.sites[0].reported
        == "the loader did not report it; without ZeRO-3, deepspeed.initialize does not round it"
    )


def test_a_note_is_told_once_for_an_environment_and_fails_nothing() -> None:
    call = "model.save_pretrained(folder)"
    cases = [
        case(
            name,
            check=Check("save"),
            precision=precision,
            notes=(Note(call, f"writes {number} tensors empty", (0, 1)),),
        )
        for name, number in (("a:A", 121), ("b:B", 7))
        for precision in (Precision.FLOAT32, Precision.BF16)
    ]
    report = build_report(Run((cell(*cases),)))
    assert [strip_marks(note) for note in report.environments[0].notes] == [
        f"{call} writes 121 tensors empty in a:A; alike in 1 more architecture"
    ]
    assert not report.findings


def test_worse_verdicts_come_first_then_what_hits_more() -> None:
    crash = Failure("KeyError", "'bias'", "modeling_utils.py:1 load")
    cases = [case("c:D", Verdict.CRASH, error=replace(crash, type="OSError")), case(BERT, Verdict.CRASH, error=crash)]
    cases += [case("a:B", Verdict.CRASH, error=crash), case(verdict=Verdict.CORRUPT)]
    found = build_report(Run((cell(*cases),))).findings
    assert [(one.verdict, len(one.cases)) for one in found] == [
        (Verdict.CORRUPT, 1),
        (Verdict.CRASH, 2),
        (Verdict.CRASH, 1),
    ]


def test_the_same_failure_elsewhere_is_one_finding() -> None:
    crash = [case(BERT, Verdict.CRASH, loader=loader, error=Failure("KeyError", "'bias'")) for loader in Loader]
    found = build_report(Run((cell(*crash), cell(*crash, environment=info("5.4.0"))))).findings
    assert [strip_marks(one.where) for one in found] == ["2 of 2 environments, stock and fixed loader"]
    assert strip_marks(found[0].sentence) == "in float32, bert:BertModel crashes while loading: KeyError: 'bias'."


def test_an_incomplete_cell_says_so_and_shows_nothing_green_for_what_is_untested() -> None:
    cut = cell(case(), planned=4, complete=False, environment=info("5.4.0"))
    context = build_report(Run((cell(case(), case(BERT), planned=2), cut)))
    assert [view.gap for view in context.environments] == ["", "incomplete: 1 of 4 planned cases measured"]
    assert context.answer == "No wrong value in 3 cases measured in float32. 3 planned cases were not measured."
    bert = context.architectures[0]
    assert [one.worst for one in bert.cells] == [Verdict.PASS, None]
    assert not context.infrastructure


def test_a_cell_without_its_end_is_incomplete_even_when_every_case_is_there() -> None:
    assert build_report(Run((cell(case(), complete=False),))).environments[0].gap.startswith("incomplete")


def test_an_environment_failure_keeps_the_words_of_the_resolver() -> None:
    failed = cell(planned=4, error=RESOLVER, environment=info("9.9.9"))
    context = build_report(Run((cell(case()), failed)))
    assert context.environments[1].error is not None
    assert context.environments[1].error.message == RESOLVER.message
    assert context.environments[1].gap == "could not be measured"
    assert context.architectures[0].cells[1].worst is Verdict.ENVIRONMENT
    assert context.infrastructure
    assert "1 environment could not be measured." in context.answer


def test_a_case_without_an_environment_is_infrastructure_and_no_finding() -> None:
    context = build_report(Run((cell(case(verdict=Verdict.ENVIRONMENT)),)))
    assert context.infrastructure
    assert context.findings == ()
    assert context.answer == "Nothing was measured."


def test_cases_that_found_the_same_share_their_evidence() -> None:
    wrong = case(verdict=Verdict.CORRUPT)
    other = replace(wrong, findings=(finding(ranks=(1,)),))
    run = Run((cell(wrong), cell(wrong, environment=info("5.4.0")), cell(other, environment=info("4.57.6"))))
    evidence = build_report(run).architectures[0].evidence
    assert [len(one.cases) for one in evidence] == [2, 1]
    assert [one.sites[0].ranks for one in evidence] == ["on ranks 0 and 1", "on rank 1 only"]
    assert evidence[0].compared == "2 buffers, 33 parameters and 2 non-persistent buffers"


def test_tensors_are_grouped_by_site_and_limited() -> None:
    many = tuple(finding(f"layers.{number}.bias") for number in range(30))
    wrong = case(verdict=Verdict.CORRUPT, findings=(*many, finding("norm.mean", site="Norm.mean")))
    found = build_report(Run((cell(wrong),))).architectures[0].evidence[0]
    assert [(site.site, site.total, len(site.tensors), site.more) for site in found.sites] == [
        ("Router.bias", 30, 10, 20),
        ("Norm.mean", 1, 1, 0),
    ]
    assert found.total == 31


def test_values_are_shown_exactly() -> None:
    odd = finding(expected=(1 / 3, 7, True), actual=("NaN", -42.0, False), elements=(5, 8))
    shown = (
        build_report(Run((cell(case(verdict=Verdict.CORRUPT, findings=(odd,))),))).architectures[0].evidence[0].sites[0]
    )
    assert (shown.tensors[0].expected, shown.tensors[0].actual) == ("0.333333333, 7, True, …", "NaN, -42.0, False, …")
    assert shown.tensors[0].elements == "5 of 8"


def test_the_command_reproduces_one_case() -> None:
    wrong = case(verdict=Verdict.CORRUPT)
    assert build_report(Run((cell(wrong),))).findings[0].example.command == (
        "zero3 run --environment transformers-5.5.4+deepspeed-0.19.8+torch-2.13.0 --device cpu "
        "--architecture 'deepseek_v3:DeepseekV3ForCausalLM' --loader stock --check load --precision float32 --again"
    )
    four = build_report(Run((cell(wrong, environment=info(world_size=4)),)))
    assert four.findings[0].example.command.endswith(" --world-size 4")


def test_a_hostile_name_cannot_leave_its_quotes_in_the_command() -> None:
    name = "x'; rm -rf ~; echo '$(id)"
    environment = info(id='a"; $(id) `id`')
    wrong = case(name, Verdict.CORRUPT)
    words = shlex.split(build_report(Run((cell(wrong, environment=environment),))).findings[0].example.command)
    assert words[3] == environment.id
    assert words[7] == name


def test_families_keep_the_order_of_the_catalog_and_the_unknown_come_last() -> None:
    run = Run((cell(case("new:New"), case(BERT), case(ROUTER)),))
    families = build_report(run, {ROUTER: "router", "gone:Gone": "rope", BERT: "control"}).families
    names = [(family.name, [row.id for row in family.architectures]) for family in families]
    assert names == [("router", [ROUTER]), ("control", [BERT]), ("", ["new:New"])]


def test_labels_tell_environments_apart() -> None:
    environments = [info(), info(torch="2.12.0"), info(device=Device.CUDA), info(device=Device.CUDA, id="other")]
    views = build_report(Run(tuple(cell(environment=environment) for environment in environments))).environments
    assert len({view.label for view in views}) == len(environments)
    assert views[1].label == "transformers 5.5.4 + deepspeed 0.19.8 + torch 2.12.0 on cpu"
    assert views[2].device == "cuda/nccl, 2 ranks"


def test_every_verdict_and_kind_is_shown_in_its_own_way() -> None:
    assert set(KINDS) == set(Kind)
    assert len({verdict.row.letter for verdict in Verdict}) == len(Verdict)


def test_one_architecture_and_several_read_as_english() -> None:
    assert describe_verdict(Verdict.CORRUPT, Check("save"), 1) == "saves wrong values silently"
    assert describe_verdict(Verdict.CRASH, Check("load"), 1) == "crashes while loading"
    assert describe_verdict(Verdict.CRASH, Check("load"), 2) == "crash while loading"


def test_a_save_that_never_began_is_not_a_second_failure() -> None:
    error = Failure("ValueError", "no", "transformers/models/a.py:1 in f", (0, 1))
    both = tuple(case(verdict=Verdict.CRASH, error=error, check=check) for check in DEFAULT.checks)
    assert len(build_report(Run((cell(*both),))).findings) == 1


def test_a_save_that_fails_by_itself_is_told_beside_the_load() -> None:
    errors = {
        check: Failure("ValueError", str(check), "transformers/models/a.py:1 in f", (0, 1)) for check in DEFAULT.checks
    }
    both = tuple(case(verdict=Verdict.CRASH, error=errors[check], check=check) for check in DEFAULT.checks)
    assert len(build_report(Run((cell(*both),))).findings) == len(DEFAULT.checks)


def test_a_branch_is_reproduced_at_the_commit_that_was_measured() -> None:
    name, commit = "transformers-main+deepspeed-0.19.8+torch-2.13.0+cpu", "a" * 40
    tip = info("5.24.0.dev0", id=name, packages={"transformers": f"5.24.0.dev0+git.{commit}"})
    assert format_command(tip, case()).startswith(
        f"ZERO3_TRANSFORMERS=git+https://github.com/huggingface/transformers@{commit} ZERO3_DEEPSPEED=0.19.8 "
        "nox -s zero3_matrix -- --architecture "
    )
    forged = info("$(id)", id=name, packages={"deepspeed": f"x+git.{commit}"})
    assert "'$(id)'" in format_command(replace(forged, id="transformers-x+deepspeed-main+cpu"), case())
    assert format_command(replace(tip, packages={}), case()).startswith("zero3 run --environment transformers-main+")


def test_the_report_says_where_one_measurement_serves_both_loaders() -> None:
    shared = replace(case(loader=Loader.FIXED), measured_with=Loader.STOCK)
    both, alone = (build_report(Run((cell(*cases),))).environments[0].covered for cases in ([case(), shared], [case()]))
    assert both == f"{alone}; in float32 the fixed loader is the stock one, so one measurement serves both"


def test_the_report_counts_where_the_fixed_loader_had_nothing_to_mend() -> None:
    wrong = case(verdict=Verdict.CORRUPT)
    spared, every = (
        build_report(Run((cell(case(check=Check("save")), wrong, *fixed),))).environments[0].covered
        for fixed in ([replace(wrong, loader=Loader.FIXED)], [])
    )
    assert spared == f"{every}; the fixed loader was not measured in 1 case, where the stock one is right or raises"
