"""What sources of models say about persistent buffers."""

from pathlib import Path

import pytest

from matrix.probe.discovery.source_scan import makes_modules, read_written_sites


def source(folder: Path, body: str) -> Path:
    file = folder / "modeling_m.py"
    file.write_text(body)
    return file


@pytest.mark.parametrize(
    ("statement", "sites"),
    [
        ('self.register_buffer("bias", x)', ("M.bias",)),
        ('self.register_buffer("bias", x, persistent=False)', ()),
        ('self.register_buffer("bias", x, False)', ()),
        ("self.register_buffer(name, x)", ("M.*",)),
        ("self.bias = nn.Buffer(x)", ("M.bias",)),
        ("self.bias = nn.Buffer(x, persistent=False)", ()),
        ("self.norm = nn.BatchNorm2d(3)", ("M.BatchNorm2d",)),
        ("self.norm = nn.LayerNorm(3)", ()),
    ],
)
def test_a_persistent_buffer_is_seen(tmp_path: Path, statement: str, sites: tuple[str, ...]) -> None:
    body = f"class M(nn.Module):\n    def __init__(self, x, name):\n        {statement}\n"
    assert read_written_sites(source(tmp_path, body)) == sites


def test_modules_of_another_package_are_told_from_functions_that_a_forward_calls(tmp_path: Path) -> None:
    called = "from natten.functional import attend\nclass M:\n    def forward(self, x):\n        return attend(x)\n"
    made = "if True:\n    import timm\nclass M:\n    def __init__(self):\n        self.body = timm.create_model('x')\n"
    assert not makes_modules(source(tmp_path, called), "natten")
    assert makes_modules(source(tmp_path, made), "timm")
    assert not makes_modules(source(tmp_path, made), "natten")
