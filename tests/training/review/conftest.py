from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver

from tests.browser import open_browser
from tests.training.review.page import Page
from tests.training.review.rounds import make_round
from tests.training.review.serving import ReviewServer, reviewing


@pytest.fixture(scope="session")
def chromium() -> Iterator[webdriver.Chrome]:
    driver = open_browser()
    yield driver
    driver.quit()


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
