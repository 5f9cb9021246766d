"""uv installs from where pip would."""

from pathlib import Path

import pytest

from matrix.environments.pip_config import build_uv_variables
from matrix.errors import DataFileError

BARE = {"PIP_CONFIG_FILE": "/dev/null"}
"""No configuration file of this machine counts."""


def with_file(folder: Path, text: str, **variables: str) -> dict[str, str]:
    file = folder / "pip.conf"
    file.write_text(text)
    return build_uv_variables({"HOME": str(folder), "PIP_CONFIG_FILE": str(file), **variables})


@pytest.mark.parametrize(
    ("setting", "value", "uv_name", "uv_value"),
    [
        ("index-url", "https://mirror/simple", "UV_DEFAULT_INDEX", "https://mirror/simple"),
        ("extra-index-url", "https://a/simple\n https://b/simple", "UV_INDEX", "https://a/simple https://b/simple"),
        ("extra-index-url", "https://a/simple", "UV_INDEX_STRATEGY", "unsafe-best-match"),
        ("find-links", "/wheels", "UV_FIND_LINKS", "/wheels"),
        ("find-links", "/wheels /more", "UV_FIND_LINKS", "/wheels,/more"),
        ("find-links", "\n  /wheels\n  /more", "UV_FIND_LINKS", "/wheels,/more"),
        ("trusted-host", "mirror other:8080", "UV_INSECURE_HOST", "mirror other:8080"),
        ("cert", "/certificates.pem", "SSL_CERT_FILE", "/certificates.pem"),
        ("client-cert", "/client.pem", "SSL_CLIENT_CERT", "/client.pem"),
        ("no-index", "true", "UV_DEFAULT_INDEX", "file:///no-index"),
    ],
)
def test_every_setting_reaches_uv_from_environment_and_file(
    tmp_path: Path, setting: str, value: str, uv_name: str, uv_value: str
) -> None:
    variable = f"PIP_{setting.upper().replace('-', '_')}"
    assert build_uv_variables({**BARE, variable: value})[uv_name] == uv_value
    for name in (setting, setting.replace("-", "_")):
        for section in ("global", "install"):
            assert with_file(tmp_path, f"[{section}]\n{name} = {value}\n")[uv_name] == uv_value


def test_nothing_is_said_about_what_pip_was_not_told() -> None:
    assert build_uv_variables({**BARE, "PATH": "/bin"}) == {**BARE, "PATH": "/bin"}
    assert build_uv_variables({**BARE, "PIP_INDEX_URL": "", "PIP_NO_INDEX": "0"}).keys() == {
        "PIP_CONFIG_FILE",
        "PIP_INDEX_URL",
        "PIP_NO_INDEX",
    }


def test_without_an_index_the_extra_ones_do_not_count_either() -> None:
    found = build_uv_variables(
        {**BARE, "PIP_NO_INDEX": "1", "PIP_EXTRA_INDEX_URL": "https://a", "PIP_FIND_LINKS": "/wheels"}
    )
    assert "UV_INDEX" not in found
    assert found["UV_FIND_LINKS"] == "/wheels"


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    found = with_file(tmp_path, "[global]\nindex-url = https://file\n", PIP_INDEX_URL="https://environment")
    assert found["UV_DEFAULT_INDEX"] == "https://environment"


def test_a_variable_of_uv_wins_over_pip(tmp_path: Path) -> None:
    found = with_file(tmp_path, "[global]\nindex-url = https://file\n", UV_DEFAULT_INDEX="https://uv")
    assert found["UV_DEFAULT_INDEX"] == "https://uv"


def test_install_wins_over_global_even_of_a_stronger_file(tmp_path: Path) -> None:
    weaker = tmp_path / ".config/pip/pip.conf"
    weaker.parent.mkdir(parents=True)
    weaker.write_text("[install]\nfind-links = /install\n[global]\nindex-url = https://user\ncert = /user.pem\n")
    found = with_file(tmp_path, "[global]\nfind-links = /global\nindex-url = https://named\n")
    named = {name: found[name] for name in ("UV_FIND_LINKS", "UV_DEFAULT_INDEX", "SSL_CERT_FILE")}
    assert named == {"UV_FIND_LINKS": "/install", "UV_DEFAULT_INDEX": "https://named", "SSL_CERT_FILE": "/user.pem"}


def test_dev_null_hides_every_file(tmp_path: Path) -> None:
    hidden = tmp_path / ".pip/pip.conf"
    hidden.parent.mkdir()
    hidden.write_text("[global]\nindex-url = https://hidden\n")
    assert "UV_DEFAULT_INDEX" not in build_uv_variables({**BARE, "HOME": str(tmp_path)})


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match=r"pip\.conf: File contains no section headers"):
        with_file(tmp_path, "index-url = https://mirror\n")
