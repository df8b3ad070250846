"""A real headless browser, for the tests of the pages."""

from __future__ import annotations

import shutil

import pytest
from selenium import webdriver

PHONE, DESKTOP = (390, 844), (1280, 800)

# The WCAG 2.1 contrast ratio of each visible element that has text of its own.
CONTRASTS = """
const parse = (color) => color.match(/[\\d.]+/g).map(Number);
const linear = (c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
const luminance = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
const background = (element) => {
  for (; element; element = element.parentElement) {
    const color = parse(getComputedStyle(element).backgroundColor);
    if (color.length < 4 || color[3] > 0) return color;
  }
  return [255, 255, 255];
};
const found = {};
for (const element of document.querySelectorAll("body *")) {
  const text = [...element.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
  if (!text || !element.checkVisibility()) continue;
  const pair = [parse(getComputedStyle(element).color), background(element)].map(luminance);
  const [high, low] = pair.sort((a, b) => b - a);
  const name = `${element.tagName}.${element.className}#${element.id}`;
  const ratio = (high + 0.05) / (low + 0.05);
  found[`${name} ${element.textContent.trim().slice(0, 30)}`] = ratio;
}
return found;
"""


def open_browser(language: str = "en") -> webdriver.Chrome:
    """Start Chromium; the test skips where there is none."""
    if not (shutil.which("chromium") and shutil.which("chromedriver")):
        pytest.skip("chromium and chromedriver are not installed (apt-get install chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.add_experimental_option("prefs", {"intl.accept_languages": language})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))


def resize(browser: webdriver.Chrome, size: tuple[int, int]) -> None:
    """Give the page the size of a screen; that of a phone behaves like one."""
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": size == PHONE},
    )
