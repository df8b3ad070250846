"""Which photos the page shows and how, in a real headless browser."""

from __future__ import annotations

import re
from pathlib import Path

from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

from plantood.training.rounds.layout import Round
from tests.training.review.page import Page, standing
from tests.training.review.rounds import make_round
from tests.training.review.serving import ReviewServer, reviewing


def test_the_most_suspicious_come_first_with_all_that_is_known(
    page: Page, server: ReviewServer
) -> None:
    page.open(server.url)
    assert page.photo == "pool/0.jpg"
    captions = page.captions()
    assert captions[1].split("\n") == ["0.050", "not_a_plant", "sharp 0.75 · bright 0.50"]
    probabilities = [float(caption.split("\n")[0]) for caption in captions]
    assert probabilities == sorted(probabilities)
    page.press(Keys.END)
    assert page.photo == "pool/11.jpg"
    assert page.text("probability") == "0.550"
    assert page.text("reasons") == "The gate accepts it."
    facts = page.find("facts").text.replace("\n", " ")
    assert facts == (
        "Sharpness 0.75 Brightness 0.50 Chosen as low P(plant), near the threshold "
        "Like other bricks 0.31, plant field 0.50 " + facts[facts.index("Source") :]
    )


def test_keys_that_move_label_nothing(page: Page, server: ReviewServer) -> None:
    page.open(server.url)
    columns = page.driver.execute_script(
        "const cells = [...document.querySelectorAll('.cell')];"
        "const tops = cells.map((cell) => cell.getBoundingClientRect().top);"
        "return tops.filter((top) => top === tops[0]).length"
    )
    for key, photo in (
        (Keys.ARROW_RIGHT, 1),
        (Keys.ARROW_DOWN, 1 + columns),
        (Keys.ARROW_UP, 1),
        (Keys.ARROW_LEFT, 0),
        (Keys.ARROW_LEFT, 0),
        (Keys.END, 11),
        (Keys.HOME, 0),
        (Keys.PAGE_DOWN, 3 * columns if 3 * columns < 12 else 11),
    ):
        page.press(key)
        if key != Keys.PAGE_DOWN:
            assert page.photo == f"pool/{photo}.jpg"
        active = page.find("grid").get_attribute("aria-activedescendant")
        assert page.find(active).get_attribute("aria-selected") == "true"
        box, room = page.find(active).rect, page.find("grid").rect
        assert room["y"] <= box["y"]
        assert box["y"] + box["height"] <= room["y"] + room["height"] + 1
    assert page.labelled == 0


def test_filters_show_what_was_said(page: Page, server: ReviewServer) -> None:
    page.open(server.url)
    for key in "pnbu":
        page.label(key)
    for view, photos in {
        "plant": [0],
        "no_plant": [1],
        "unfit": [2],
        "other": [1, 2],
        "unsure": [3],
        "todo": list(range(4, 12)),
        "all": list(range(12)),
    }.items():
        page.show(view)
        page.shows(len(photos))
        assert page.photo == f"pool/{photos[0]}.jpg"
    Select(page.find("selected")).select_by_value("margin")
    page.shows(2)
    Select(page.find("reason")).select_by_value("not_a_plant")
    page.shows(0)
    assert page.find("nothing").is_displayed()
    assert page.find("nothing").text == "No photo fits these filters."
    Select(page.find("selected")).select_by_value("")
    Select(page.find("source")).select_by_value("farm")
    farms = sum(p.source == "farm" and p.reasons != () for p in Round.open(server.round).mined())
    page.shows(farms)


def test_labelled_photos_stay_in_place_until_refresh(page: Page, server: ReviewServer) -> None:
    page.open(server.url)
    page.label("p")
    assert "plant" in page.captions()[0].split("\n")
    assert page.text("shown") == "12 shown"
    page.press("r")
    page.shows(11)
    assert page.photo == "pool/1.jpg"


def test_zoom_by_keyboard(page: Page, server: ReviewServer) -> None:
    page.open(server.url)
    page.press(Keys.ENTER)

    def size() -> tuple[int, int]:
        size = page.find("zoom-photo").size
        return size["width"], size["height"]

    page.until(lambda: size()[0] > 200)  # as the photo has
    room = page.find("zoom-room").size
    fitting = size()
    assert fitting[0] <= room["width"]
    assert fitting[1] <= room["height"] + 1
    page.press("-")  # not smaller than the whole
    assert size() == fitting
    page.press("+")
    scale = int(re.search(r"(\d+) %", page.text("zoom-title")).group(1))
    assert scale == 400  # the largest
    assert size() == (800, 600)
    page.press("0")
    assert size() == fitting
    page.label("n")  # stays open, with the next photo
    assert page.find("zoom").is_displayed()
    assert page.text("zoom-title").startswith("2 of 12 · P(plant) 0.050 · not_a_plant")
    page.press(Keys.ARROW_RIGHT)
    assert page.text("zoom-title").startswith("3 of 12")
    page.press(Keys.SPACE)
    assert not page.find("zoom").is_displayed()
    assert page.photo == "pool/2.jpg"
    page.press(Keys.ENTER, Keys.ESCAPE)
    page.label("p")
    assert standing(server.round) == {
        "pool/0.jpg": ("other", "no_plant"),
        "pool/2.jpg": ("plant", None),
    }


def test_five_thousand_photos_scroll(page: Page, tmp_path: Path) -> None:
    round_ = make_round(tmp_path / "round-1", 5000, pictures=8)
    with reviewing(round_.path, "--reviewer", "anna") as server:
        page.open(server.url, reviewer=None)
        found = page.driver.execute_async_script(SCROLL)
        assert page.text("shown") == "5000 shown"
        page.press(Keys.END)
        page.until_seen()
        assert page.photo == "pool/4999.jpg"
        page.label("p")
        assert page.labelled == 1
    assert found["cells"] < 150  # those in sight, not five thousand
    assert found["height"] > 100_000
    assert found["empty"] == 0  # after a pause, every thumbnail in sight is there
    assert found["longest"] < 1500  # ms; benchmarks/review_page.py measures


# Scrolls through all of it in jumps and in small steps, and watches.
SCROLL = """
const done = arguments[0];
const grid = document.getElementById("grid");
const frames = [], frame = () => new Promise(requestAnimationFrame);
let most = 0, last = performance.now();
const step = async (to) => {
  grid.scrollTop = to;
  const now = await frame();
  frames.push(now - last);
  last = now;
  most = Math.max(most, document.querySelectorAll(".cell").length);
};
(async () => {
  await frame();
  last = performance.now();
  for (let y = 0; y < 6000; y += 60) await step(y);
  for (let part = 0; part <= 40; part += 1) await step(grid.scrollHeight * part / 40);
  const inSight = () => [...document.querySelectorAll(".cell")].filter((cell) => {
    const box = cell.getBoundingClientRect(), room = grid.getBoundingClientRect();
    return box.bottom > room.top && box.top < room.bottom;
  });
  const empty = () => inSight().filter((cell) => !cell.firstChild.naturalWidth).length;
  for (let i = 0; i < 200 && empty(); i += 1) await new Promise((go) => setTimeout(go, 100));
  done({ cells: most, longest: Math.max(...frames), height: grid.scrollHeight, empty: empty() });
})();
"""
