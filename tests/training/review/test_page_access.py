"""Everybody can use the page: contrast, phone, keyboard and names, no outside resource."""

from __future__ import annotations

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.browser import CONTRASTS, PHONE
from tests.training.review.page import Page
from tests.training.review.serving import ReviewServer


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
    for bar in ("filters", "panel"):  # no scrollbar lies across them
        script = (
            "const e = document.getElementById(arguments[0]); return [e.scrollWidth, e.clientWidth]"
        )
        wide, room = page.driver.execute_script(script, bar)
        assert wide <= room
    for control in ("view", "more", "refresh", "shown"):
        box = page.find(control).rect
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= PHONE[0]
    assert not page.find("reason").is_displayed()
    page.find("more").click()
    assert page.find("more").get_attribute("aria-expanded") == "true"
    for control in ("reason", "selected", "source", "blind"):
        box = page.find(control).rect
        assert page.find(control).is_displayed()
        assert box["x"] + box["width"] <= PHONE[0]
    page.find("title").find_element(By.XPATH, "../div").click()  # elsewhere
    assert not page.find("reason").is_displayed()
    page.find("more").click()
    page.press(Keys.ESCAPE)
    assert not page.find("reason").is_displayed()
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
        "source", "blind", "refresh", "grid", "open-zoom", "plant", "other", "unsure",
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
