"""The smallest rule: it covers what is red and nothing that is clean, and says so when it cannot."""

from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from bot.site.failures.rules import MeasuredPoints, Point, PointSets, Rule, describe, explain
from bot.text import strip_marks
from matrix.model import Check, Device, Loader, Precision

VERSIONS = ("4.57.6", "5.0.0", "5.5.4", "5.23.0", "git.abc")
FAMILY = {"a": "router", "b": "router", "c": "batchnorm", "d": ""}
POINTS = [
    Point(
        transformers, deepspeed, Device.CPU, loader, Check("load"), Precision.FLOAT32, name, FAMILY[name], name in "abc"
    )
    for transformers, deepspeed, loader, name in product(VERSIONS, ("0.16.9", "0.19.8"), Loader, FAMILY)
]


def explained(red: set[Point], points: list[Point] | None = None, ended: set[Point] | None = None) -> tuple[Rule, ...]:
    measured = MeasuredPoints(points or POINTS)
    told = [(point in red, point in (ended or ())) for point in measured.points]
    bits = measured.bits(index for index, (wrong, _) in enumerate(told) if wrong)
    unknown = measured.bits(index for index, (_, late) in enumerate(told) if late)
    whole = measured.bits(range(len(told)))
    return explain(measured, PointSets(bits, whole & ~bits & ~unknown, unknown))


def words(red: set[Point], points: list[Point] | None = None, ended: set[Point] | None = None) -> str:
    return strip_marks(describe(explained(red, points, ended)))


def where(**wanted: object) -> set[Point]:
    def fits(point: Point) -> bool:
        return all(getattr(point, name) in values for name, values in wanted.items())  # type: ignore[operator]

    return {point for point in POINTS if fits(point)}


def covers(rule: Rule, point: Point) -> bool:
    """Whether the rule says that `point` is failing."""
    return all(getattr(point, condition.field) in condition.values for condition in rule.conditions)


BOXES = st.builds(
    where,
    transformers=st.sets(st.sampled_from(VERSIONS), min_size=1),
    loader=st.sets(st.sampled_from(Loader), min_size=1),
    architecture=st.sets(st.sampled_from(sorted(FAMILY)), min_size=1),
)


@settings(max_examples=100)
@given(red=st.sets(st.sampled_from(POINTS), min_size=1) | BOXES, ended=st.sets(st.sampled_from(POINTS)))
def test_an_exact_rule_covers_every_red_point_and_no_clean_one(red: set[Point], ended: set[Point]) -> None:
    rules = explained(red, POINTS, ended - red)
    covered = {point for point in POINTS if any(covers(rule, point) for rule in rules)}
    assert red <= covered
    if all(rule.exact for rule in rules):
        assert not covered - red - ended
    assert describe(rules) == describe(explained(red, POINTS[::-1], ended - red))


def test_a_range_of_versions_and_a_loader_are_told_for_all_that_bear_buffers() -> None:
    red = where(transformers=("5.0.0", "5.5.4"), loader=(Loader.STOCK,), architecture="abc")
    assert (
        words(red) == "transformers 5.0.0 to 5.5.4 (as measured), stock loader, architectures with persistent buffers"
    )


def test_few_architectures_are_named_with_the_versions() -> None:
    red = where(transformers=("5.5.4", "5.23.0"), architecture=("a", "c"))
    assert words(red) == "a and c with transformers 5.5.4 and newer (as measured)"


def test_the_newest_version_alone_is_told_to_be_that() -> None:
    assert words(where(deepspeed=("0.19.8",))) == "deepspeed 0.19.8 (the newest measured)"


def test_a_family_stands_for_its_architectures() -> None:
    assert words(where(architecture="ab")) == "family router"


def test_architectures_that_the_catalog_does_not_know_are_no_family() -> None:
    points = [
        Point("5.0.0", "0.19.8", Device.CPU, Loader.STOCK, Check("load"), Precision.FLOAT32, name, FAMILY.get(name, ""))
        for name in "abdxyz"
    ]
    assert words(set(points[2:]), points) == "d, x, y and z in every measured case"


def test_what_is_red_everywhere_is_told_so() -> None:
    assert words(set(POINTS)) == "every measured case"
    assert words(where(architecture="d")) == "d in every measured case"


def test_architectures_that_are_red_in_other_versions_have_a_rule_of_their_own() -> None:
    red = where(transformers=("5.5.4", "5.23.0"), architecture=("a",)) | where(
        transformers=("5.23.0",), architecture=("c",)
    )
    assert words(red) == (
        "a with transformers 5.5.4 and newer (as measured); c with transformers 5.23.0 (the newest measured)"
    )


def test_what_no_rule_explains_is_counted() -> None:
    red = where(transformers=("5.0.0", "5.23.0"), architecture="ab", loader=(Loader.STOCK,))
    assert words(red) == "a and b with transformers 5.0.0 and newer (as measured), stock loader: 8 of 12 measured cases"


def test_a_rule_does_not_cover_what_another_failure_ended_if_a_version_can_tell_them_apart() -> None:
    ended = where(architecture="d", deepspeed=("0.19.8",))
    assert words(where(architecture="d", deepspeed=("0.16.9",)), ended=ended) == "d with deepspeed 0.16.9"


def test_many_architectures_are_not_all_named() -> None:
    many = [
        Point("5.0.0", "0.19.8", Device.CPU, Loader.STOCK, Check("load"), Precision.FLOAT32, f"{name}:M")
        for name in "abcdefghijkl"
    ]
    assert words(set(many[:11]), many) == ("a, b, c, d, e, f, g, h and 3 more architectures in every measured case")
