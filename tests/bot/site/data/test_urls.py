"""The addresses of the site: readable for our ids, and harmless for any other name."""

from hypothesis import given
from hypothesis import strategies as st

from bot.site.data import urls
from tests.support.runs import ROUTER, case


def test_our_ids_stay_readable() -> None:
    environment = "transformers-5.23.0+deepspeed-0.19.8+torch-2.13.0+cpu"
    assert urls.case(environment, case(ROUTER).key) == (
        "cases/transformers-5.23.0,deepspeed-0.19.8,torch-2.13.0,cpu/deepseek_v3~DeepseekV3ForCausalLM.html#stock-load"
    )


@given(st.text())
def test_no_name_leaves_its_folder(name: str) -> None:
    made = urls.slug(name)
    assert made.strip(".")
    assert not made.startswith(".")
    assert len(made) <= urls.LIMIT + 9
    assert set(made) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-~,")


def test_names_that_look_alike_do_not_collide() -> None:
    names = ["a_b", "a:b", "a+b", "a~b", "a,b", "a b", "a/b", "a\0b", "../a", ".a", "a" * 300, "a" * 301, "\ud800", ""]
    assert len({urls.slug(name) for name in names}) == len(names)
