"""Badges: short, and green only for what was measured whole, lately, and passed."""

import json
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from bot.site.data.urls import slug
from bot.site.outputs.badges import Badge, build_badges
from matrix.history.snapshot import Snapshot
from matrix.history.take_snapshot import snapshot_of_run
from matrix.model import Case, Cell, Check, Device, Failure, Loader, Precision, Run
from matrix.verdicts import Verdict
from tests.support.history.real_runs import real_run
from tests.support.runs import BERT, ROUTER, case, cell, info

PROJECT = "badges/project.json"
MODEL = f"badges/architectures/{slug(ROUTER)}.json"


def told(*cells: Cell) -> dict[str, Badge]:
    return build_badges(snapshot_of_run(Run(cells)))


def both(architecture: str = ROUTER, load: Verdict = Verdict.PASS, save: Verdict = Verdict.PASS) -> tuple[Case, Case]:
    return case(architecture, load), case(architecture, save, check=Check("save"))


def test_real_records_have_a_badge_of_each_kind() -> None:
    found = build_badges(snapshot_of_run(real_run()))
    night = "(2026-11-25)"
    assert found[PROJECT] == Badge(
        "ZeRO-3, transformers 5.23.0 + deepspeed 0.19.8", f"127 of 178 cases pass {night}", "orange"
    )
    environment = "badges/environments/transformers-5.5.4,deepspeed-0.19.8,torch-2.13.0,cpu.json"
    shown = Badge("transformers 5.5.4 + deepspeed 0.19.8, cpu", f"66 of 162 cases pass {night}", "red")
    assert found[environment] == shown
    assert found["badges/pairs/5.6.0,0.19.8.json"] == Badge(
        "transformers 5.6.0 + deepspeed 0.19.8", "120 of 164 cases pass (2026-11-25)", "orange"
    )
    assert found[MODEL] == Badge("deepseek_v3", "safe in float32 with transformers 5.23.0 (2026-11-25)", "brightgreen")
    assert found[f"badges/architectures/{slug('resnet:ResNetForImageClassification')}.json"].color == "orange"
    assert len([path for path in found if path.startswith("badges/environments/")]) == 9


def test_an_endpoint_answers_what_shields_reads() -> None:
    assert json.loads(Badge("a", "b", "red").json) == {
        "schemaVersion": 1, "label": "a", "message": "b", "color": "red", "isError": True}  # fmt: skip
    assert json.loads(told(cell(*both()))[PROJECT].json)["isError"] is False
    assert [json.loads(Badge("x" * length, "").json)["label"] for length in (72, 73)] == ["x" * 72, "x" * 71 + "…"]


def test_the_newest_release_counts_not_what_is_being_developed() -> None:
    old, new, main = (info(version) for version in ("5.9.0", "5.10.0", "5.24.0.dev0"))
    found = told(
        cell(*both(load=Verdict.CORRUPT), environment=old),
        cell(*both(), environment=new),
        cell(*both(load=Verdict.CRASH), environment=main),
    )
    assert found[MODEL] == Badge("deepseek_v3", "safe in float32 with transformers 5.10.0 (2026-11-22)", "brightgreen")


@pytest.mark.parametrize("verdict", [one for one in Verdict if one is not Verdict.PASS])
def test_only_a_pass_is_green(verdict: Verdict) -> None:
    assert told(cell(*both(load=verdict)))[MODEL].color != "brightgreen"
    assert told(cell(*both(save=verdict)))[MODEL].color != "brightgreen"


def test_what_another_device_gets_wrong_is_not_green() -> None:
    found = told(cell(*both()), cell(*both(load=Verdict.CRASH), environment=info(device=Device.CUDA)))
    assert found[MODEL].message == "crash with transformers 5.5.4 (2026-11-22)"


def test_what_no_precision_is_safe_in_everywhere_is_uncertain() -> None:
    in_bf16 = [replace(one, precision=Precision.BF16) for one in both()]
    found = told(cell(*both()), cell(*in_bf16, environment=info(device=Device.CUDA)))
    assert found[MODEL] == Badge("deepseek_v3", "uncertain with transformers 5.5.4 (2026-11-22)")
    assert found[PROJECT] == Badge(found[PROJECT].label, "uncertain, 4 cases pass (2026-11-22)")


def test_a_check_that_was_not_measured_leaves_a_model_untested() -> None:
    assert told(cell(case(ROUTER)))[MODEL] == Badge("deepseek_v3", "untested")


def test_a_check_that_one_device_did_not_measure_leaves_a_model_untested() -> None:
    found = told(cell(*both()), cell(case(ROUTER), environment=info(device=Device.CUDA)))
    assert found[MODEL] == Badge("deepseek_v3", "untested")


def test_the_fixed_loader_does_not_count() -> None:
    assert told(cell(*both(), case(ROUTER, Verdict.CRASH, loader=Loader.FIXED)))[PROJECT].color == "brightgreen"


def test_what_is_stale_says_since_when_and_is_grey() -> None:
    found = told(cell(*both(), planned=9, complete=False))
    assert {(badge.message, badge.color) for badge in found.values()} == {("stale since 2026-11-22", "lightgrey")}


def test_a_pass_that_may_be_luck_is_not_green() -> None:
    found = told(cell(*both(), case(BERT, Verdict.FLAKY, loader=Loader.FIXED)))
    assert found[MODEL] == Badge("deepseek_v3", "uncertain with transformers 5.5.4 (2026-11-22)")


def test_a_flaky_fixed_loader_makes_a_pass_uncertain() -> None:
    found = told(cell(*both(), case(ROUTER, Verdict.FLAKY, loader=Loader.FIXED)))
    assert found[MODEL] == Badge("deepseek_v3", "uncertain with transformers 5.5.4 (2026-11-22)")
    assert found[PROJECT].message == "uncertain, 2 cases pass (2026-11-22)"


@pytest.mark.parametrize("other", [{"error": Failure("E", "no wheel")}, {"planned": 9, "complete": False}])
def test_a_device_that_failed_is_not_left_out(other: dict[str, Any]) -> None:
    found = told(cell(*both()), cell(environment=info(device=Device.CUDA), **other))
    assert found[MODEL] == Badge("deepseek_v3", "stale since 2026-11-22")
    assert found[PROJECT].color == "lightgrey"


def test_what_is_wrong_stays_so_on_another_device_and_when_it_is_stale() -> None:
    wrong, failed = (
        cell(*both(load=Verdict.CRASH)),
        cell(planned=9, complete=False, environment=info(device=Device.CUDA)),
    )
    assert told(wrong, failed)[MODEL] == Badge("deepseek_v3", "crash with transformers 5.5.4 (2026-11-22)", "orange")
    stale = told(replace(wrong, planned=9, complete=False))
    assert stale[MODEL] == Badge("deepseek_v3", "crash, stale since 2026-11-22")


def test_what_was_not_measured_for_long_says_so_and_is_grey() -> None:
    old, new = cell(*both()), cell(*both(), environment=info(device=Device.CUDA), started="2027-01-22T18:00:00Z")
    assert told(old, new)[MODEL] == Badge("deepseek_v3", "stale since 2026-11-22")
    assert told(new)[MODEL] == Badge(
        "deepseek_v3", "safe in float32 with transformers 5.5.4 (2027-01-22)", "brightgreen"
    )


def test_a_case_that_could_not_be_measured_is_not_green() -> None:
    found = told(cell(*both(), *both(BERT, load=Verdict.ENVIRONMENT)))
    assert found[PROJECT] == Badge(found[PROJECT].label, "uncertain, 3 cases pass (2026-11-22)")


def test_a_class_that_the_versions_lack_does_not_count() -> None:
    found = told(cell(*both(), *both(BERT, Verdict.UNSUPPORTED, Verdict.UNSUPPORTED)))
    assert found[PROJECT].message == "all 2 cases pass in float32 (2026-11-22)"
    assert found[f"badges/architectures/{slug(BERT)}.json"] == Badge("bert", "not in transformers 5.5.4")


def test_nothing_measured_makes_grey_badges() -> None:
    assert build_badges(Snapshot(date.min, ())) == {PROJECT: Badge("ZeRO-3", "untested")}
    failed = told(cell(error=Failure("E", "no wheel")))
    assert {badge.color for badge in failed.values()} == {"lightgrey"}


def test_hostile_names_stay_short_text_in_files_of_their_own() -> None:
    evil = '../../<script>"\0\u202e' + "x" * 5_000
    found = told(cell(*both(evil), environment=info("5.5.4", deepspeed=evil)))
    for path, badge in found.items():
        assert path.startswith("badges/")
        assert ".." not in path
        assert len(path) < 200
        shown = json.loads(badge.json)
        assert badge.json.isascii()
        assert max(len(shown["label"]), len(shown["message"])) <= 72
        assert shown["label"].isprintable()


def test_the_worst_verdict_of_all_checks_and_devices_is_told_in_its_colour() -> None:
    colors = {verdict: told(cell(*both(load=verdict)))[MODEL].color for verdict in Verdict}
    assert colors.pop(Verdict.NARROWED) == "red"
    silent, loud, fault, grey = (colors.pop(one) for one in (
        Verdict.CORRUPT, Verdict.PASS, Verdict.BASELINE_BROKEN, Verdict.UNSUPPORTED))  # fmt: skip
    assert (silent, loud, fault, grey, colors.pop(Verdict.ENVIRONMENT)) == (
        "red", "brightgreen", "yellow", "lightgrey", "lightgrey")  # fmt: skip
    assert set(colors.values()) == {"orange"}
    checks = told(cell(*both(load=Verdict.REPORTED, save=Verdict.CRASH)))
    gpu = cell(*both(load=Verdict.CRASH), environment=info(device=Device.CUDA))
    devices = told(cell(*both(load=Verdict.REPORTED)), gpu)
    assert checks[MODEL].message == devices[MODEL].message == "reported with transformers 5.5.4 (2026-11-22)"


def test_a_safe_badge_names_the_precisions_that_every_device_was_right_in() -> None:
    both_precisions = tuple(
        replace(one, precision=precision) for one in both() for precision in (Precision.FLOAT32, Precision.BF16)
    )
    found = told(cell(*both_precisions))
    assert found[MODEL].message == "safe in float32, bf16 with transformers 5.5.4 (2026-11-22)"
    assert found[PROJECT].message == "all 4 cases pass in float32, bf16 (2026-11-22)"
    gpu = cell(*both(), environment=info(device=Device.CUDA))
    assert told(cell(*both_precisions), gpu)[MODEL].message == "safe in float32 with transformers 5.5.4 (2026-11-22)"
