"""What a check is, and that there is nothing else by that name."""

import copy
import pickle

import pytest
from pydantic import TypeAdapter, ValidationError

from matrix.checks import CHECKS, NEEDED_FOR_SAFE, VARIANTS, case_keys
from matrix.model import Case, Check, Loader

CASE = TypeAdapter(Case)


def test_safe_needs_load_and_save() -> None:
    assert {"load", "save"} <= NEEDED_FOR_SAFE


def test_a_check_comes_after_those_that_run_before_it() -> None:
    order = [*CHECKS]
    for check, description in CHECKS.items():
        assert all(order.index(Check(name)) < order.index(check) for name in description.after)


def test_there_is_one_object_of_a_check() -> None:
    load = Check("load")
    assert Check(load) is copy.deepcopy(load) is load
    assert pickle.loads(pickle.dumps(load)) is load  # noqa: S301 - our own
    assert (load, hash(load), str(load)) == ("load", hash("load"), "load")


@pytest.mark.parametrize("name", ["", "Load", "__init__", "sharded"])
def test_no_other_name_is_a_check(name: str) -> None:
    with pytest.raises(ValueError, match="is not a valid check"):
        Check(name)


@pytest.mark.parametrize("value", ['"laod"', "null", "1", '["load"]'])
def test_a_record_with_another_check_is_rejected(value: str) -> None:
    record = '{"architecture": "a:A", "loader": "stock", "check": %s, "verdict": "pass"}'
    assert CASE.validate_json(record % '"load"', strict=True).check is Check("load")
    with pytest.raises(ValidationError):
        CASE.validate_json(record % value, strict=True)


def test_every_case_of_an_architecture_has_a_key() -> None:
    keys = case_keys("a:A")
    assert [key.variant for key in keys] == [*VARIANTS]
    # float32, bf16 and fp16 are trained in as asked for, bf16 and fp16 also after a load in float32.
    assert len({*keys}) == 5 * len(Loader) * len(CHECKS)
