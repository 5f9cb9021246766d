from hypothesis import given
from hypothesis import strategies as st

from matrix.catalog.set_cover import cover, cover_left, rank_head


def test_the_one_that_adds_most_makes_others_superfluous() -> None:
    assert cover({"a": ["x"], "b": ["x", "y"], "c": ["y"]}, str) == ("b",)


def test_of_equals_the_rank_decides() -> None:
    assert cover({"a": ["x"], "b": ["x"]}, lambda name: name != "b") == ("b",)


@given(st.dictionaries(st.text("abc", min_size=1, max_size=2), st.sets(st.integers(0, 9)), max_size=8))
def test_it_covers_everything_and_the_order_of_the_names_does_not_matter(bearers: dict[str, set[str]]) -> None:
    chosen = cover(bearers, len)
    assert set().union(*(bearers[name] for name in chosen)) == set().union(*bearers.values())
    assert cover(dict(reversed(bearers.items())), len) == chosen


def test_what_is_chosen_already_is_not_covered_again() -> None:
    assert cover_left({"a": ["x"], "b": ["x", "y"], "c": ["z"]}, ["a", "unknown"], str) == ("b", "c")


def test_common_heads_come_before_models_rare_heads_and_parts() -> None:
    names = ["BertEncoder", "BertForTokenClassification", "BertModel", "BertForMaskedLM", "BertForCausalLM"]
    assert sorted(names, key=rank_head) == names[::-1]
