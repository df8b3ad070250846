"""Two tabs, two reviewers, another machine, in a real headless browser."""

from __future__ import annotations

from pathlib import Path

from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from plantood.training.review.client import ReviewClient
from plantood.training.rounds.layout import Round
from tests.training.review.page import Page, standing
from tests.training.review.rounds import make_round
from tests.training.review.serving import ReviewServer, reviewing, start


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
        # Neither what ben said nor what the gate says, as the first look shows how far they agree.
        assert page.captions()[0] == "sharp 0.75 · bright 0.50"
        assert page.captions()[10].startswith("0.500\naccepted")  # ben has not labelled it
        assert page.text("said") == "Not labelled yet."
        assert page.text("probability") == page.text("reasons") == ""
        for key in "pppnnnnnnn":
            page.label(key)
        page.until(lambda: "Second look (4)" in page.find("view").text)
        page.until(lambda: page.text("kappa") == "with ben: 90.0 %, κ 0.78")
        page.press("a")
        row = page.find("pairs").find_elements(By.CSS_SELECTOR, "tbody td")
        assert [cell.text for cell in row] == [
            "anna and ben",
            "10",
            "90.0 % (59.6 to 98.2)",
            "0.78",
            "90.0 % (59.6 to 98.2)",
            "0.78",
        ]
        page.press(Keys.ESCAPE)
        page.press("s")
        page.shows(4)
        assert page.photo == "pool/3.jpg"
        assert page.text("said") == (
            "Second look: another reviewer says otherwise. You said: no plant. ben said: plant."
        )
        assert page.captions()[0].split("\n")[0] == "no plant ≠"  # and no P(plant)
        page.label("p")
        page.until(lambda: page.text("kappa") == "with ben: 100.0 %, κ 1.00")
        assert Round.open(server.round).labels()[photos[3]].label == "plant"


def test_the_page_works_without_the_summary(page: Page, server: ReviewServer) -> None:
    page.driver.execute_cdp_cmd("Network.enable", {})
    page.driver.execute_cdp_cmd("Network.setBlockedURLs", {"urls": ["*/api/summary*"]})
    try:
        page.open(server.url)
        page.shows(12)
        page.label("p")
        assert page.labelled == 1
        assert page.text("kappa") == "not known"
        page.press("a")
        assert page.find("unknown").text == (
            "The agreement is not known for now. The review server does not answer."
        )
        assert not page.find("alone").is_displayed()
        page.press(Keys.ESCAPE)
        page.press("s")
        page.shows(0)
    finally:
        page.driver.execute_cdp_cmd("Network.setBlockedURLs", {"urls": []})
    page.press("r")  # makes the list anew, and asks again
    page.until(lambda: page.text("kappa") == "")
    page.press("a")
    assert page.find("alone").is_displayed()
    assert not page.find("unknown").is_displayed()


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
