"""What the keys say of a photo, in a real headless browser: saved, undone, never by mistake."""

from __future__ import annotations

from pathlib import Path

from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

from plantood.training.photos.data import find_data
from plantood.training.review.second_look import STRONG
from plantood.training.rounds.layout import LABELS, Round
from tests.training.review.page import KEYS, Page, standing
from tests.training.review.rounds import make_round
from tests.training.review.serving import ReviewServer, reviewing, start


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
    labels = {photo.path.stem: photo.label for photo in find_data(round_ / LABELS).photos}
    by_name = {photo.path: photo.id for photo in Round.open(round_).mined()}
    assert {
        by_name[path]: int(label == "plant")
        for path, (label, _) in said.items()
        if label != "unsure"
    } | {
        by_name["pool/50.jpg"]: 1,
        by_name["pool/51.jpg"]: 1,
    } == labels


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
    assert page.text("said") == "Second look: please look at it once more. You said: plant."
    assert page.text("probability") == page.text("reasons") == ""
    assert "P(plant)" not in page.text("title")
    assert page.captions()[0] == "plant\nsharp 0.75 · bright 0.50"
    page.label("n")
    assert page.captions()[0].split("\n")[:3] == ["0.000", "no plant", "not_a_plant"]
    for _ in contradicted[1:]:
        page.label("p")
    assert page.text("said") == "There is nothing to look at again."
    page.press("s")
    page.shows(1)  # a change of mind wants a third look
    assert page.text("said") == "Second look: you changed your mind. You said: no plant."
    page.label("n")
    assert standing(server.round)["pool/0.jpg"] == ("other", "no_plant")


def test_the_gate_is_silent_until_the_reviewer_has_spoken_if_he_wants_it(
    page: Page, server: ReviewServer
) -> None:
    page.open(server.url)
    page.label("u")
    assert page.text("reasons") == "The gate refuses it: not_a_plant."
    assert "other bricks 0.31" in page.find("facts").text
    page.find("blind").click()
    for silent in ("probability", "reasons"):
        assert page.text(silent) == ""
    assert not page.find("probability").is_displayed()
    assert (
        page.text("hidden-opinion") == "What the gate says of it shows once you have labelled it."
    )
    assert "Chosen as" not in page.find("facts").text
    assert "bricks" not in page.find("facts").text
    assert page.captions()[:2] == [
        "0.000\nunsure\nnot_a_plant\nsharp 0.75 · bright 0.50",
        "sharp 0.75 · bright 0.50",
    ]
    current = page.find(page.find("grid").get_attribute("aria-activedescendant"))
    assert current.accessible_name == "sharp 0.75 · bright 0.50, no label"
    page.find("open-zoom").click()
    page.until(lambda: page.text("zoom-title").startswith("2 of 12 · "))
    assert "P(plant)" not in page.text("zoom-title")
    assert "not_a_plant" not in page.text("zoom-title")
    page.press(Keys.ESCAPE)
    page.find("blind").click()
    page.find("blind").click()
    page.label("p")  # the keys work with the focus on the checkbox, too
    assert page.captions()[1].startswith("0.050\nplant\nnot_a_plant")
    page.press("z")
    page.until(lambda: page.labelled == 1)
    page.until(lambda: page.captions()[1] == "sharp 0.75 · bright 0.50")

    page.driver.refresh()  # each reviewer's own choice is remembered
    page.until_ready()
    assert page.find("blind").is_selected()
    page.find("reviewer-button").click()
    page.find("name").clear()
    page.find("name").send_keys("ben", Keys.ENTER)
    page.until(lambda: page.text("reviewer") == "ben")
    assert not page.find("blind").is_selected()
    page.press(Keys.ARROW_RIGHT)
    page.until(lambda: page.text("probability") == "0.050")


def test_a_button_and_what_it_leaves_behind_have_one_name(page: Page, server: ReviewServer) -> None:
    page.open(server.url)
    buttons = page.find("panel").find_elements(By.CSS_SELECTOR, "[data-label] span")
    names = [button.text.split("\n")[0] for button in buttons]
    assert names == ["Plant", "No plant", "Unfit", "Unsure"]
    for name, key in zip(names, "pnbu", strict=True):
        page.label(key)
        assert page.text("announce").startswith(f"Saved: {name.lower()}.")
    badges = [caption.split("\n")[1] for caption in page.captions()[:4]]
    assert badges == [name.lower() for name in names]
    views = [option.text for option in Select(page.find("view")).options]
    assert set(names) <= set(views)
    enlarged = page.find("zoom").find_elements(By.CSS_SELECTOR, "[data-label] span")
    said = [button.get_attribute("textContent").split(" blurred")[0] for button in enlarged]
    assert said == names
    page.press("?")
    explained = page.find("help").find_elements(By.CSS_SELECTOR, "dd b")
    assert [word.text for word in explained] == names


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
