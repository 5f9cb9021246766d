"""The README's pictures of the dashboard: `python -m bot.dev.screenshots SITE FOLDER`."""

import json
import os
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Annotated, Final

import typer
from PIL import Image

from bot.dev.browser import Browser, Window, find_chromium, start_browser, take_picture
from bot.site.data import urls
from matrix.command_line.output import say
from matrix.command_line.run import run_app

SHOTS: Final = {
    "dashboard.png": Window(1280, 1160),
    "dashboard-dark.png": Window(1280, 1160, "dark"),
    "dashboard-phone.png": Window(390, 844),
}
"""What shows the answer to QUESTION in which file."""
QUESTION: Final = "?model=deepseek_v3&transformers=5.5.4&deepspeed=0.19.8"

app = typer.Typer(add_completion=False)


@app.command()
def main(
    site: Annotated[Path, typer.Argument(help="Folder that `python -m bot dashboard` wrote.")],
    folder: Annotated[Path, typer.Argument(help="Folder for the pictures, which are replaced.")],
) -> None:
    """Take pictures of an answer of a site, and print where they are."""
    with start_browser(find_chromium(os.environ)) as browser:
        for path in take_screenshots(browser, site, folder):
            say(path)


def take_screenshots(browser: Browser, site: Path, folder: Path) -> Iterator[Path]:
    """Writes each of SHOTS into `folder`, as on the day of the site's data, and yields its path."""
    address = (site / urls.START).resolve().as_uri() + QUESTION
    day = json.loads((site / urls.API).read_text(encoding="utf-8"))["newest"]
    for name, window in SHOTS.items():
        path = folder / name
        path.write_bytes(shrink_picture(take_picture(browser, address, window, day)))
        yield path


def shrink_picture(png: bytes) -> bytes:
    """Returns the same picture with 256 colours, a third of the size; text and coloured squares look the same."""
    reduced = BytesIO()
    with Image.open(BytesIO(png)) as image:
        image.convert("RGB").quantize(256).save(reduced, "PNG", optimize=True)
    return reduced.getvalue()


if __name__ == "__main__":
    run_app(app)
