"""The review page in a browser, as a reviewer uses it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

from plantood.training.rounds.layout import Round
from tests.browser import DESKTOP, resize

KEYS = {
    "p": ("plant", None),
    "n": ("other", "no_plant"),
    "b": ("other", "unfit"),
    "u": ("unsure", None),
}


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
        shown = (
            "const image = document.getElementById('photo');"
            "return image.complete && image.naturalWidth > 0"
        )
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
        self.until_seen()
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


def standing(round_: Path) -> dict[str, tuple[str, str | None]]:
    """What stands on disk, by the path as it was mined; of one reviewer."""
    opened = Round.open(round_)
    names = {photo.id: photo.path for photo in opened.mined()}
    found = {}
    for identity, label in opened.labels().items():
        (decision,) = label.votes.values()
        found[names[identity]] = (decision.label, decision.kind)
    return found
