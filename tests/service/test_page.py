"""The page at /, in a real headless browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

from tests.browser import CONTRASTS, DESKTOP, PHONE, open_browser, resize
from tests.service.server import SAMPLES, Server

# Hands a photo to the page as an event of the given kind would.
HAND_OVER = """
const [kind, name, bytes] = arguments;
const transfer = new DataTransfer();
transfer.items.add(new File([new Uint8Array(bytes)], name, { type: "image/jpeg" }));
const options = { bubbles: true, cancelable: true };
document.body.dispatchEvent(kind === "drop"
  ? new DragEvent("drop", { ...options, dataTransfer: transfer })
  : new ClipboardEvent("paste", { ...options, clipboardData: transfer }));
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[webdriver.Chrome]:
    driver = open_browser()
    yield driver
    driver.quit()


@pytest.fixture
def page(browser: webdriver.Chrome, server: Server) -> webdriver.Chrome:
    _open(browser, server.url, DESKTOP)
    return browser


def _open(browser: webdriver.Chrome, url: str, size: tuple[int, int]) -> None:
    resize(browser, size)
    browser.get(f"{url}/")
    _until(browser, lambda: _text(browser, "model") != "…")


def _until(browser: webdriver.Chrome, condition: object) -> None:
    WebDriverWait(browser, 15).until(lambda _: condition())


def _text(browser: webdriver.Chrome, identity: str) -> str:
    return browser.find_element(By.ID, identity).text


def _choose(browser: webdriver.Chrome, photo: Path, into: str = "file") -> None:
    browser.find_element(By.ID, into).send_keys(str(photo))


def _judged(browser: webdriver.Chrome, word: str) -> None:
    _until(browser, lambda: _text(browser, "word") == word)


def test_a_plant_is_accepted_with_its_scores_and_timings(page: webdriver.Chrome) -> None:
    _choose(page, SAMPLES / "maize_leaf.jpg")
    _judged(page, "Accept")
    assert _text(page, "probability").endswith("%")
    facts = _text(page, "facts")
    for fact in (
        "Size\n256 \N{MULTIPLICATION SIGN} 256",
        "Brightness",
        "Sharpness",
        "Time: decode",
        "Time: score",
    ):
        assert fact in facts
    assert page.find_element(By.ID, "preview").is_displayed()
    assert _text(page, "model") == "plantood-gate:starter"


def test_a_retake_says_why_in_the_language_chosen(page: webdriver.Chrome) -> None:
    _choose(page, SAMPLES / "bare_soil.jpg", into="camera")
    _judged(page, "Take it again")
    english = _text(page, "reasons")
    assert english.endswith("not_a_plant")
    Select(page.find_element(By.ID, "language")).select_by_value("fr")
    _until(page, lambda: _text(page, "reasons") not in ("", english))
    assert page.find_element(By.ID, "reasons").get_attribute("lang") == "fr"
    spoken = page.find_element(By.ID, "announce").get_attribute("textContent")
    assert _text(page, "reasons").split("\n")[0] in spoken


def test_an_unreadable_photo_shows_no_score(page: webdriver.Chrome) -> None:
    _choose(page, SAMPLES / "broken_upload.jpg")
    _judged(page, "Take it again")
    assert "unreadable" in _text(page, "reasons")
    assert not page.find_element(By.ID, "score").is_displayed()


@pytest.mark.parametrize("kind", ["drop", "paste"])
def test_a_photo_can_be_dropped_or_pasted(page: webdriver.Chrome, kind: str) -> None:
    photo = (SAMPLES / "maize_leaf.jpg").read_bytes()
    page.execute_script(HAND_OVER, kind, "leaf.jpg", list(photo))
    _judged(page, "Accept")


def test_a_refused_upload_is_told(page: webdriver.Chrome, tmp_path: Path) -> None:
    large = tmp_path / "large.jpg"
    large.write_bytes(bytes(21 << 20))
    _choose(page, large)
    _until(page, lambda: page.find_element(By.ID, "error").is_displayed())
    assert "20 MB" in _text(page, "error")
    assert not page.find_element(By.ID, "result").is_displayed()


def test_the_language_follows_the_browser(browser: webdriver.Chrome, server: Server) -> None:
    swahili = open_browser("xx,sw-KE,en")
    try:
        swahili.get(server.url)
        chosen = swahili.find_element(By.ID, "language")
        _until(swahili, lambda: chosen.get_attribute("value") == "sw")
    finally:
        swahili.quit()


def test_a_phone_shows_the_verdict_without_scrolling(
    browser: webdriver.Chrome, server: Server
) -> None:
    _open(browser, server.url, PHONE)
    assert browser.find_element(By.ID, "camera").get_attribute("capture") == "environment"
    _choose(browser, SAMPLES / "bare_soil.jpg", into="camera")
    _judged(browser, "Take it again")
    _until(browser, lambda: browser.find_element(By.ID, "preview").is_displayed())
    width, scroll = browser.execute_script(
        "return [innerWidth, document.documentElement.scrollWidth]"
    )
    assert scroll <= width == PHONE[0]
    verdict = browser.find_element(By.ID, "verdict").rect
    assert verdict["y"] + verdict["height"] <= PHONE[1]
    for target in browser.find_elements(By.CSS_SELECTOR, ".button, select"):
        assert min(target.size.values()) >= 44  # WCAG 2.5.5, target size


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast(page: webdriver.Chrome, scheme: str) -> None:
    page.execute_cdp_cmd(
        "Emulation.setEmulatedMedia",
        {"features": [{"name": "prefers-color-scheme", "value": scheme}]},
    )
    for sample, word in (("maize_leaf", "Accept"), ("bare_soil", "Take it again")):
        _choose(page, SAMPLES / f"{sample}.jpg")
        _judged(page, word)
        contrasts = page.execute_script(CONTRASTS)
        assert len(contrasts) > 10
        assert {name: ratio for name, ratio in contrasts.items() if ratio < 4.5} == {}
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_the_keyboard_reaches_every_control_and_each_has_a_name(page: webdriver.Chrome) -> None:
    reached = []
    for _ in range(6):
        ActionChains(page).send_keys(Keys.TAB).perform()
        focused = page.switch_to.active_element
        reached.append((focused.get_attribute("id"), focused.accessible_name))
    assert [identity for identity, _ in reached[:4]] == ["language", "camera", "file", "model"]
    assert all(name.strip() for _, name in reached)


def test_the_page_needs_nothing_from_outside(page: webdriver.Chrome, server: Server) -> None:
    page.get_log("browser")
    page.refresh()
    _choose(page, SAMPLES / "maize_leaf.jpg")
    _judged(page, "Accept")
    loaded = page.execute_script("return performance.getEntriesByType('resource').map(e => e.name)")
    assert loaded
    assert all(url.startswith((server.url, "data:", "blob:")) for url in loaded)
    assert page.get_log("browser") == []
    headers = httpx.get(f"{server.url}/").headers
    assert "default-src 'none'" in headers["content-security-policy"]
