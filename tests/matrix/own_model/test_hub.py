"""A model of a hub: only its config.json is asked for, and every other answer says what to do instead."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from matrix.errors import MatrixError
from matrix.model import Source
from matrix.own_model.target import find_source
from tests.support.command_line import matrix
from tests.support.site_server import serving
from tests.support.stand_in_probe import StandIn

LLAMA = {"model_type": "llama", "hidden_size": 64}
WITH_CODE = {**LLAMA, "auto_map": {"AutoModel": "modeling.Model"}}
PATH = "/org/My-Model.1/resolve/main/config.json"
MINE = "hf_mine"

Hub = Callable[[Mapping[str, Any], list[str | None]], AbstractContextManager[str]]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("HF_TOKEN", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Hub:
    """A hub that answers with files by path, and is the one that HF_ENDPOINT names."""

    @contextmanager
    def start(files: Mapping[str, Any], tokens: list[str | None]) -> Iterator[str]:
        with serving(files, tokens) as address:
            monkeypatch.setenv("HF_ENDPOINT", f"{address}/")
            yield address

    return start


def test_the_configuration_is_all_that_is_asked_for(hub: Hub) -> None:
    asked: list[str | None] = []
    with hub({PATH: LLAMA}, asked):
        assert find_source("org/My-Model.1") == Source(config=LLAMA, label="My-Model.1")
        assert find_source("org/My-Model.1", full=True).full
    assert asked == [None, None]


def test_what_is_here_goes_first(hub: Hub, here: Path) -> None:
    (here / "org" / "My-Model.1").mkdir(parents=True)
    asked: list[str | None] = []
    with hub({PATH: LLAMA}, asked), pytest.raises(MatrixError, match=r"has no config\.json"):
        find_source("org/My-Model.1")
    assert asked == []


def test_a_gated_repository_is_opened_by_a_token_that_only_its_hub_gets(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str | None] = []
    others: list[str | None] = []
    monkeypatch.setenv("HF_TOKEN", f" {MINE}\n")
    with serving({"/config": LLAMA}, others) as elsewhere, hub({PATH: f"{elsewhere}/config"}, told):
        assert find_source("org/My-Model.1").config == LLAMA
    assert (told, others) == ([f"Bearer {MINE}"], [None])


DEEP = ('{"a":' * 700 + "1" + "}" * 700).encode()


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        (
            HTTPStatus.UNAUTHORIZED,
            2,
            "is gated or private, or does not exist: set HF_TOKEN to a token that can read it",
        ),
        (HTTPStatus.FORBIDDEN, 2, "set HF_TOKEN"),
        (HTTPStatus.NOT_FOUND, 2, "does not exist, or has no config.json: check the name, or download the config.json"),
        (HTTPStatus.BAD_GATEWAY, 3, "the answer is 502"),
        (PATH, 3, "more than 3 redirects"),
        ("http://example.com/", 2, "'http://example.com/' must begin with https://, unless it is on this machine"),
        (b" " * (4 << 20) + b"{}", 2, "config.json of org/My-Model.1 is not the configuration of a model: it has more"),
        (DEEP, 2, "it is nested more than 100 deep"),
        (b"<html>", 2, "it is not JSON"),
        ({"weights": 3}, 2, "it has no model_type"),
    ],
    ids=str,
)
def test_every_other_answer_is_a_sentence(hub: Hub, answer: object, code: int, words: str) -> None:
    with hub({PATH: answer}, []), pytest.raises(MatrixError, match=re.escape(words)) as caught:
        find_source("org/My-Model.1")
    assert caught.value.exit_code == code


@pytest.mark.parametrize("variable", ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])
def test_offline_no_hub_is_asked(hub: Hub, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "yes")
    asked: list[str | None] = []
    words = f"there is no folder or file 'org/My-Model.1' here, and {variable} is set, so no hub is asked"
    with hub({PATH: LLAMA}, asked), pytest.raises(MatrixError, match=words) as caught:
        find_source("org/My-Model.1")
    assert (asked, caught.value.exit_code) == ([], 2)


def test_without_a_network_it_says_what_to_do_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving({}) as nobody_any_more:
        monkeypatch.setenv("HF_ENDPOINT", nobody_any_more)
    with pytest.raises(MatrixError, match=r"did not answer.*hf download org/model config\.json") as caught:
        find_source("org/model")
    assert caught.value.exit_code == 3


def test_a_hub_that_somebody_could_read_along_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://hub.example")
    with pytest.raises(
        MatrixError, match=r"HF_ENDPOINT, the address of the hub: 'http://hub\.example' must begin with https://"
    ):
        find_source("org/model")


def test_code_of_a_hub_is_never_downloaded(hub: Hub) -> None:
    with hub({PATH: WITH_CODE}, []):
        assert find_source("org/My-Model.1").folder == ""
        with pytest.raises(MatrixError, match=r"no code is downloaded here: `hf download org/My-Model.1 "):
            find_source("org/My-Model.1", trusted=True)
    with hub({PATH: LLAMA}, []):
        assert find_source("org/My-Model.1", trusted=True).folder == ""


WAYS = "for loader in ('stock', 'fixed') for check in ('load', 'save') for precision in ('float32', 'bf16')"
CASES = f"[case(('mine:Mine', loader, check, precision, 'plain')) {WAYS}]"
SAFE = "SAFE: mine:Mine, in bf16 and float32: load, save"
WHOLE = f"environment(); tell('target', {{'id': 'mine:Mine', 'parameters': 7}}); {CASES}; end()"


@pytest.mark.parametrize(
    ("config", "flags", "first", "measured"),
    [
        (LLAMA, (), SAFE, None),
        (WITH_CODE, (), f"{SAFE}; not measured: its own code (auto_map)", False),
        (WITH_CODE, ("--trust-remote-code",), SAFE, True),
    ],
)
def test_code_that_was_not_measured_is_in_the_first_line(
    here: Path, config: dict[str, Any], flags: tuple[str, ...], first: str, measured: object
) -> None:
    (here / "config.json").write_text(json.dumps(config))
    common: tuple[str | Path, ...] = ("check", here, "--python", StandIn(here, WHOLE).path, "--device", "cpu", *flags)
    text, values = matrix(*common), matrix(*common, "--json")
    assert (text.returncode, text.stdout.splitlines()[0]) == (0, first)
    assert json.loads(values.stdout)["own_code_measured"] is measured
