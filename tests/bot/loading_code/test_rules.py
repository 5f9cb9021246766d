"""The table of loading code agrees with itself."""

import re

from bot.loading_code.rules import TABLE, find_rules


def test_no_symbol_of_the_table_is_both_loading_code_and_neutral() -> None:
    for name in ("transformers", "DeepSpeed", "accelerate", "safetensors", "zero3-matrix"):
        for rule in find_rules(f"a/{name}").rules:
            assert not rule.symbols & rule.neutral, rule.path.pattern
            assert rule.why
            assert not rule.why.endswith("."), "it goes on after a colon"


def test_the_table_has_each_symbol_once_per_list() -> None:
    for listed in re.findall(r"\[(?:\s*#.*|[^\[\]])*\]", TABLE.read_text(encoding="utf-8")):
        symbols = re.findall(r'"(\w+)"', listed)
        assert len(symbols) == len(set(symbols)), listed
