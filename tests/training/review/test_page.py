"""The review page in a real headless browser, driven by the keyboard."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

from tests.browser import CONTRASTS, DESKTOP, PHONE, open_browser, resize
from tests.training.review.rounds import make_round
from tests.training.review.server import ReviewServer, reviewing, start
from training.data import read_data
from training.review.client import ReviewClient
from training.review.second_look import STRONG
from training.rounds.layout import LABELS, Round

KEYS = {
    "p": ("plant", None),
    "n": ("other", "no_plant"),
    "b": ("other", "unfit"),
    "u": ("unsure", None),
}


@pytest.fixture(scope="module")
def chromium() -> Iterator[webdriver.Chrome]:
    driver = open_browser()
    yield driver
    driver.quit()


class Page:
    """One tab, or several, on a review server."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def open(
        self, url: str, reviewer: str | None = "anna", size: tuple[int, int] = DESKTOP
    ) -> None:
        resize(self.driver, size)
        self.driver.get(url)
        if reviewer is not None:
            self.until(lambda: self.find("who").is_displayed())
            self.find("name").send_keys(reviewer, Keys.ENTER)
        self.until_ready()

    def until_ready(self) -> None:
        self.until(
            lambda: "ready" in self.driver.find_element(By.TAG_NAME, "body").get_attribute("class")
        )
        self.until_seen()

    def until(self, condition: Callable[[], object], seconds: float = 30) -> None:
        wait = WebDriverWait(self.driver, seconds, poll_frequency=0.02)
        wait.until(lambda _: condition())

    def until_seen(self) -> None:
        """The photo at hand is on the screen."""
        shown = "const image = document.getElementById('photo'); return image.naturalWidth > 0"
        self.until(lambda: self.driver.execute_script(shown))

    def find(self, identity: str) -> webdriver.remote.webelement.WebElement:
        return self.driver.find_element(By.ID, identity)

    def text(self, identity: str) -> str:
        return self.find(identity).get_attribute("textContent").strip()

    def press(self, *keys: str) -> None:
        ActionChains(self.driver).send_keys(*keys).perform()

    @property
    def photo(self) -> str:
        """Path of the photo at hand, as it was mined."""
        return self.text("path")

    @property
    def labelled(self) -> int:
        return int(self.text("progress").split()[0])

    def label(self, key: str) -> None:
        """Press a key, and wait until the label is acknowledged and the next photo shows."""
        before = self.photo
        self.press(key)
        self.until(lambda: self.photo != before)
        if self.photo:
            self.until_seen()

    def show(self, view: str) -> None:
        Select(self.find("view")).select_by_value(view)

    def shows(self, count: int) -> None:
        """The list has so many photos."""
        self.until(lambda: self.text("shown") == f"{count} shown")

    def captions(self) -> list[str]:
        return [cell.text for cell in self.driver.find_elements(By.CLASS_NAME, "cell")]


@pytest.fixture
def page(chromium: webdriver.Chrome) -> Iterator[Page]:
    """A browser that has forgotten the reviewer of the test before; its other tabs are closed."""
    yield Page(chromium)
    first, *others = chromium.window_handles
    for handle in others:
        chromium.switch_to.window(handle)
        chromium.close()
    chromium.switch_to.window(first)
    with contextlib.suppress(Exception):
        chromium.execute_script("localStorage.clear(); sessionStorage.clear()")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ReviewServer]:
    with reviewing(make_round(tmp_path / "round-1", 12).path) as server:
        yield server


def standing(round_: Path) -> dict[str, tuple[str, str | None]]:
    """What stands on disk, by the path as it was mined; of one reviewer."""
    opened = Round.open(round_)
    names = {photo.id: photo.path for photo in opened.mined()}
    found = {}
    for identity, label in opened.labels().items():
        (decision,) = label.votes.values()
        found[names[identity]] = (decision.label, decision.kind)
    return found


def test_fifty_photos_by_keyboard_and_the_server_killed_in_the_middle(
    page: Page, tmp_path: Path
) -> None:
    round_ = make_round(tmp_path / "round-1", 52).path
    server = start(round_)
    page.open(server.url)
    said: dict[str, tuple[str, str | None]] = {}
    keys = "pnbup1234n" * 5
    by_digit = dict(zip("1234", "pnbu", strict=True))
    for number, key in enumerate(keys):
        photo = page.photo
        assert photo not in said
        if number == 23:
            server.kill()
            page.press(key)
            page.until(lambda: page.find("trouble").is_displayed())
            assert "Not saved yet" in page.text("trouble")
            assert page.photo == photo  # it stays until it is saved
            page.press("n" if key != "n" else "p")  # and nothing else is taken meanwhile
            assert standing(round_) == said
            server = start(round_, port=server.port)
            page.until(lambda before=photo: page.photo != before, seconds=60)
            page.until(lambda: not page.find("trouble").is_displayed())
            page.until_seen()
        else:
            page.label(key)
        said[photo] = KEYS[by_digit.get(key, key)]
        assert standing(round_) == said  # on disk before the next photo showed
    assert page.labelled == 50
    server.kill()
    with reviewing(round_) as again:
        page.driver.execute_script("sessionStorage.clear()")
        page.open(again.url)
        assert page.labelled == 50
        assert page.text("shown") == "2 shown"
        page.label("p")
        page.label("p")
        assert page.text("said").startswith("Every photo has your label.")
        assert not page.find("open-zoom").is_enabled()
    labels = {photo.path.stem: photo.label for photo in read_data(round_ / LABELS)}
    by_name = {photo.path: photo.id for photo in Round.open(round_).mined()}
    assert {
        by_name[path]: int(label == "plant")
        for path, (label, _) in said.items()
        if label != "unsure"
    } | {
        by_name["pool/50.jpg"]: 1,
        by_name["pool/51.jpg"]: 1,
    } == labels


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
        "Sharpness 0.75 Brightness 0.50 Unfamiliarity 1.25 "
        "Chosen as low P(plant), near the threshold " + facts[facts.index("Source") :]
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


def test_undo_goes_back_photo_by_photo_also_after_a_reload(
    page: Page, server: ReviewServer
) -> None:
    page.open(server.url)
    for key in "pnb":
        page.label(key)
    page.press("z")
    page.until(lambda: page.labelled == 2)
    assert page.photo == "pool/2.jpg"
    assert page.text("said") == "Not labelled yet."
    page.driver.refresh()
    page.until_ready()
    page.press(Keys.BACKSPACE)
    page.until(lambda: page.labelled == 1)
    page.until(lambda: page.photo == "pool/1.jpg")
    ActionChains(page.driver).key_down(Keys.CONTROL).send_keys("z").key_up(Keys.CONTROL).perform()
    page.until(lambda: page.labelled == 0)
    page.until(lambda: page.photo == "pool/0.jpg")
    page.press("z")
    assert standing(server.round) == {}
    assert [d.undone for d in Round.open(server.round).decisions()] == [False] * 3 + [True] * 3


def test_a_changed_label_is_undone_to_the_one_before(page: Page, server: ReviewServer) -> None:
    page.open(server.url)
    page.label("p")
    page.press(Keys.HOME)
    page.label("n")
    page.press("z")
    page.until(lambda: page.text("said") == "You said: plant.")
    assert standing(server.round) == {"pool/0.jpg": ("plant", None)}
    pressed = page.driver.find_elements(By.CSS_SELECTOR, "#panel [aria-pressed=true]")
    assert [button.get_attribute("data-label") for button in pressed] == ["plant"]


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


def test_a_second_look_at_what_the_gate_contradicts(page: Page, server: ReviewServer) -> None:
    page.open(server.url)
    for _ in range(6):
        page.label("p")
    contradicted = [
        p for p in Round.open(server.round).mined()[:6] if 1 - p.plant_probability >= STRONG
    ]
    page.press("s")
    page.shows(len(contradicted))
    assert len(contradicted) == 5
    assert page.photo == "pool/0.jpg"
    assert page.text("said") == (
        "Second look: the gate is strongly of the other opinion. You said: plant."
    )
    page.label("n")
    for _ in contradicted[1:]:
        page.label("p")
    assert page.text("said") == "There is nothing to look at again."
    page.press("s")
    page.shows(1)  # a change of mind wants a third look
    assert page.text("said") == "Second look: you changed your mind. You said: no plant."
    page.label("n")
    assert standing(server.round)["pool/0.jpg"] == ("other", "no_plant")


def test_zoom_by_keyboard(page: Page, server: ReviewServer) -> None:
    page.open(server.url)
    photo = page.find("zoom-photo")
    page.press(Keys.ENTER)
    page.until(lambda: page.driver.execute_script("return arguments[0].naturalWidth", photo) == 200)
    page.until(lambda: photo.size["width"] > 200)
    room = page.find("zoom-room").size
    assert photo.size["width"] <= room["width"]
    assert photo.size["height"] <= room["height"] + 1
    fitting = photo.size["width"]
    page.press("-")  # not smaller than the whole
    assert photo.size["width"] == fitting
    page.press("+")
    scale = int(re.search(r"(\d+) %", page.text("zoom-title")).group(1))
    assert scale == 400  # the largest
    assert photo.size["width"] == 800
    page.press("0")
    assert photo.size["width"] == fitting
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


def test_two_tabs_do_not_overwrite_each_other(page: Page, server: ReviewServer) -> None:
    page.open(server.url)
    first = page.driver.current_window_handle
    page.driver.switch_to.new_window("tab")
    second = page.driver.current_window_handle
    page.open(server.url, reviewer=None)  # the same reviewer: the browser knows
    assert page.text("reviewer") == "anna"
    # The second tab hears nothing for a while: it is stale when it decides.
    page.driver.execute_cdp_cmd("Network.enable", {})
    page.driver.execute_cdp_cmd("Network.setBlockedURLs", {"urls": ["*/api/decisions*"]})
    page.driver.switch_to.window(first)
    page.label("p")
    page.driver.switch_to.window(second)
    assert page.text("said") == "Not labelled yet."
    page.press("n")
    page.until(lambda: "in another tab" in page.text("trouble"))
    assert page.photo == "pool/0.jpg"
    assert page.text("said") == "You said: plant."
    assert standing(server.round) == {"pool/0.jpg": ("plant", None)}
    page.label("n")  # now with open eyes
    assert standing(server.round) == {"pool/0.jpg": ("other", "no_plant")}
    page.driver.execute_cdp_cmd("Network.setBlockedURLs", {"urls": []})
    # The other tab's labels appear, and are passed over.
    page.driver.switch_to.window(first)
    page.until(lambda: "no plant" in page.captions()[0].split("\n"))
    page.label("b")
    assert page.photo == "pool/2.jpg"
    page.driver.switch_to.window(second)
    page.until(lambda: page.labelled == 2)
    page.press("z")  # each tab takes back its own
    page.until(lambda: page.labelled == 2 and page.photo == "pool/0.jpg")
    assert standing(server.round) == {
        "pool/0.jpg": ("plant", None),
        "pool/1.jpg": ("other", "unfit"),
    }


def test_two_reviewers_look_blindly_and_then_agree(page: Page, server: ReviewServer) -> None:
    with ReviewClient(server.url, "ben") as ben:
        photos = [photo["id"] for photo in ben.photos()]
        for number, photo in enumerate(photos[:10]):
            ben.label(photo, "plant" if number < 4 else "other", None if number < 4 else "no_plant")
        page.open(server.url)
        assert page.captions()[0] == "0.000\nnot_a_plant\nsharp 0.75 · bright 0.50"
        assert page.text("said") == "Not labelled yet."  # not what ben said
        for key in "pppnnnnnnn":
            page.label(key)
        page.until(lambda: "Second look (4)" in page.find("view").text)
        page.until(lambda: page.text("kappa") == "with ben: 90.0 %, κ 0.78")
        page.press("a")
        row = page.find("pairs").find_elements(By.CSS_SELECTOR, "tbody td")
        assert [cell.text for cell in row] == [
            "anna and ben",
            "10",
            "90.0 %",
            "0.78",
            "90.0 %",
            "0.78",
        ]
        page.press(Keys.ESCAPE)
        page.press("s")
        page.shows(4)
        assert page.photo == "pool/3.jpg"
        assert page.text("said") == (
            "Second look: another reviewer says otherwise. You said: no plant. ben said: plant."
        )
        assert "no plant ≠" in page.captions()[0]
        page.label("p")
        page.until(lambda: page.text("kappa") == "with ben: 100.0 %, κ 1.00")
        assert Round.open(server.round).labels()[photos[3]].label == "plant"


def test_another_reviewer_takes_over_in_the_same_tab(page: Page, server: ReviewServer) -> None:
    page.open(server.url)
    page.label("p")
    page.find("reviewer-button").click()
    page.press("=evil", Keys.ENTER)
    assert "begins with a letter" in page.find("name-error").text
    page.find("name").clear()
    page.find("name").send_keys("Ben", Keys.ENTER)
    page.until(lambda: page.text("reviewer") == "Ben")
    page.until(lambda: page.labelled == 0)
    assert page.find("undo").get_attribute("disabled")
    page.until_seen()
    page.label("n")
    votes = Round.open(server.round).labels()[Round.open(server.round).mined()[0].id].votes
    assert {name: vote.label for name, vote in votes.items()} == {"anna": "plant", "Ben": "other"}


def test_letters_can_be_switched_off(page: Page, server: ReviewServer) -> None:
    page.open(server.url)
    page.press("?")
    page.find("letters").click()
    page.press(Keys.ESCAPE)
    page.press("p")
    page.press("1")
    page.find("panel").find_element(By.CSS_SELECTOR, "[data-label=unsure]").click()
    page.until(lambda: page.labelled == 1)
    assert standing(server.round) == {"pool/0.jpg": ("unsure", None)}


def test_a_key_in_a_filter_or_held_down_labels_nothing_by_mistake(
    page: Page, server: ReviewServer
) -> None:
    page.open(server.url)
    page.press("f")
    page.press("p")  # the list of views takes it: Plant
    page.press(Keys.ESCAPE)
    assert page.labelled == 0
    page.press("r")
    page.show("todo")
    page.press(Keys.ESCAPE)
    held = {"key": "p", "code": "KeyP", "text": "p", "windowsVirtualKeyCode": 80}
    page.driver.execute_cdp_cmd("Input.dispatchKeyEvent", {"type": "keyDown", **held})
    for _ in range(5):
        again = {"type": "keyDown", "autoRepeat": True, **held}
        page.driver.execute_cdp_cmd("Input.dispatchKeyEvent", again)
    page.driver.execute_cdp_cmd("Input.dispatchKeyEvent", {"type": "keyUp", **held})
    page.until(lambda: page.labelled == 1)
    page.until_seen()
    assert page.photo == "pool/1.jpg"


def test_a_photo_that_is_not_seen_yet_is_not_labelled(page: Page, server: ReviewServer) -> None:
    page.open(server.url)
    page.driver.execute_cdp_cmd("Network.enable", {})
    page.driver.execute_cdp_cmd("Network.clearBrowserCache", {})
    slow = {"offline": False, "latency": 3000, "downloadThroughput": -1, "uploadThroughput": -1}
    page.driver.execute_cdp_cmd("Network.emulateNetworkConditions", slow)
    page.press(Keys.END)
    page.press("p")
    fast = slow | {"latency": 0}
    page.driver.execute_cdp_cmd("Network.emulateNetworkConditions", fast)
    page.until_seen()
    assert page.labelled == 0
    page.press("p")
    page.until(lambda: page.labelled == 1)


def test_the_page_asks_for_the_token_once(page: Page, tmp_path: Path) -> None:
    round_ = make_round(tmp_path / "round-1", 3).path
    with reviewing(round_, "--host", "0.0.0.0") as server:
        plain = server.url.partition("?")[0]
        page.driver.get(plain)
        assert "A token is needed" in page.driver.find_element(By.TAG_NAME, "body").text
        page.open(server.url)
        assert page.driver.current_url == plain  # the token is out of sight
        assert "token" not in page.driver.execute_script("return document.cookie")
        page.label("p")
        page.driver.refresh()
        page.until_ready()
        assert page.labelled == 1
    # The server of the same port with another token: what is decided now is refused, and said.
    again = start(round_, "--host", "0.0.0.0", port=server.port)
    try:
        page.press("n")
        page.until(lambda: "A token is needed" in page.text("trouble"))
        assert page.photo == "pool/1.jpg"
        page.open(again.url, reviewer=None)
        page.label("n")
        assert standing(round_).keys() == {"pool/0.jpg", "pool/1.jpg"}
    finally:
        again.kill()


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


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast(page: Page, server: ReviewServer, scheme: str) -> None:
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    page.open(server.url)
    for key in "pnu":
        page.label(key)
    page.press(Keys.HOME)
    for key in ("", "?", "a"):
        if key:
            page.press(key)
        contrasts = page.driver.execute_script(CONTRASTS)
        assert len(contrasts) > 20
        assert {name: ratio for name, ratio in contrasts.items() if ratio < 4.5} == {}
        page.press(Keys.ESCAPE)
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_a_phone_shows_the_photo_and_the_buttons_at_once(page: Page, server: ReviewServer) -> None:
    page.open(server.url, size=PHONE)
    width, scroll = page.driver.execute_script(
        "return [innerWidth, document.documentElement.scrollWidth]"
    )
    assert scroll <= width == PHONE[0]
    for target in page.driver.find_elements(By.CSS_SELECTOR, "#panel button, header button"):
        box = target.rect
        assert min(box["width"], box["height"]) >= 44  # WCAG 2.5.5, target size
        assert box["y"] + box["height"] <= PHONE[1]
    cells = page.driver.find_elements(By.CLASS_NAME, "cell")
    cells[1].click()
    page.until(lambda: page.photo == "pool/1.jpg")
    page.until_seen()
    page.find("panel").find_element(By.CSS_SELECTOR, "[data-kind=no_plant]").click()
    page.until(lambda: page.labelled == 1)
    page.find("open-zoom").click()
    for target in page.find("zoom").find_elements(By.CSS_SELECTOR, "button"):
        assert min(target.size.values()) >= 44
        assert target.rect["y"] + target.rect["height"] <= PHONE[1]


def test_everything_has_a_name_and_the_keyboard_reaches_it(
    page: Page, server: ReviewServer
) -> None:
    page.open(server.url)
    page.driver.execute_script("document.activeElement.blur(); getSelection().removeAllRanges()")
    reached = []
    for _ in range(20):
        page.press(Keys.TAB)
        focused = page.driver.switch_to.active_element
        if focused.tag_name == "body":  # once around
            continue
        identity = focused.get_attribute("id") or focused.get_attribute("data-label")
        if identity and identity not in reached:
            reached.append(identity)
        assert focused.accessible_name.strip(), identity
    assert set(reached) >= {
        "agreement-button", "reviewer-button", "help-button", "view", "reason", "selected",
        "source", "refresh", "grid", "open-zoom", "plant", "other", "unsure",
    }  # fmt: skip
    option = page.find(page.find("grid").get_attribute("aria-activedescendant"))
    assert option.aria_role == "option"
    assert option.accessible_name.startswith("P(plant) 0.000, not_a_plant")
    page.find("grid").click()
    page.label("p")
    assert page.text("announce").startswith("Saved: plant. 1 of 12 labelled")


def test_the_page_needs_nothing_from_outside(page: Page, server: ReviewServer) -> None:
    page.open(server.url)
    page.driver.get_log("browser")
    page.driver.refresh()
    page.until_ready()
    page.label("p")
    page.press(Keys.ENTER, Keys.ESCAPE, "?", Keys.ESCAPE, "a")
    script = "return performance.getEntriesByType('resource').map((e) => e.name)"
    loaded = page.driver.execute_script(script)
    assert any("/thumbnails/" in url for url in loaded)
    assert all(url.startswith((server.url, "data:")) for url in loaded)
    assert page.driver.get_log("browser") == []
