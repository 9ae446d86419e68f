"""Pictures of the explorer: `python -m docs.screenshots` writes them to docs/images/ by a headless Chromium."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from equivariance.cli.explore import serving
from tests.equivariance.browser import browser

OUT = Path(__file__).parent / "images"
#: Names, and the states that they show.
SHOTS = {
    "explorer-stride": "field=cat&method=stride&t=1.3,1.3",
    "explorer-comoving": "field=cat&method=comoving&place=front&t=1.3,1.3",
}
#: Few colours make small files; this method keeps the rare ones, and white white.
COLOURS = 256


def main() -> None:
    """Take all of them."""
    with serving() as url, browser() as chromium:
        for name, words in SHOTS.items():
            page = chromium.new_page(viewport={"width": 1300, "height": 860})
            page.goto(f"{url}#{words}")
            page.wait_for_selector("main[aria-busy=false]")
            file = OUT / f"{name}.png"
            page.screenshot(path=file)
            page.close()
            with Image.open(file) as image:
                few = image.convert("RGB").quantize(
                    COLOURS, Image.Quantize.MAXCOVERAGE, kmeans=1, dither=Image.Dither.NONE
                )
            few.save(file, optimize=True)
            print(f"{file.name}: {file.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
