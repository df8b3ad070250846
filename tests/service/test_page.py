"""The page at /, in a real headless browser."""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from PIL import Image
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

from tests.browser import CONTRASTS, DESKTOP, PHONE, open_browser, resize
from tests.photos import encode, scene
from tests.service.server import SAMPLES, Server, serving

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

# All that a reader of the page reads or hears, and in which language it says that it is: the texts
# of the elements, and their names.
READ = """
const found = [["title", document.title, document.querySelector("title").closest("[lang]").lang]];
const name = (e) => `${e.tagName.toLowerCase()}#${e.id}`;
const langOf = (e) => e.closest("[lang]").lang;
for (const e of document.querySelectorAll("body *")) {
  const own = [...e.childNodes].filter((n) => n.nodeType === 3).map((n) => n.data.trim()).join(" ");
  if (own.trim() && e.tagName !== "OPTION") found.push([name(e), own.trim(), langOf(e)]);
  for (const attribute of ["alt", "aria-label", "title", "placeholder"]) {
    const value = e.getAttribute(attribute);
    if (value) found.push([`${name(e)} ${attribute}`, value, langOf(e)]);
  }
}
return found;
"""
SAME_IN_ALL = {"plantood", "API", "JSON", "\N{MIDDLE DOT}", "\N{CHECK MARK}"}
GOOD = {"en": "Good photo", "fr": "Bonne photo", "sw": "Picha nzuri"}
AGAIN = {"en": "Take it again", "fr": "Photo à reprendre", "sw": "Piga tena"}
LUGANDA = "Ekifaananyi kino tekiriimu kimera."


@pytest.fixture(scope="module")
def browser() -> Iterator[webdriver.Chrome]:
    driver = open_browser()
    yield driver
    driver.quit()


@pytest.fixture
def page(browser: webdriver.Chrome, server: Server) -> webdriver.Chrome:
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    _open(browser, server.url, DESKTOP)
    return browser


@pytest.fixture(scope="module")
def other(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service that an operator has set up otherwise in all that the page shows.

    It keeps photos, speaks Swahili if nothing else is wanted, and Luganda, and takes small photos.
    Its threshold is as high as the probability of the sample of maize, all but a little.
    """
    folder = tmp_path_factory.mktemp("other")
    messages = folder / "messages.json"
    messages.write_text(json.dumps({"lg": {"not_a_plant": LUGANDA}, "no tag!": {}}))
    maize = {"image": (SAMPLES / "maize_leaf.jpg").read_bytes()}
    probability = httpx.post(f"{server.url}/check", files=maize).json()["plant_probability"]
    settings = {
        "CAPTURE": str(folder / "captured"),
        "LANGUAGE": "sw",
        "MESSAGES_FILE": str(messages),
        "POLICY": f"plant_threshold={probability - 0.001:.4f}",
        "MAX_PHOTOS": "1",
        "MAX_UPLOAD_MB": "1",
        "UPLOADS_MB": "1",
        "MAX_MEGAPIXELS": "2",
        "GATE_TIMEOUT_S": "1",
    }
    with serving(
        folder / "bentoml", **{f"PLANTOOD_{k}": v for k, v in settings.items()}
    ) as started:
        yield started


def _open(
    browser: webdriver.Chrome, url: str, size: tuple[int, int], language: str | None = None
) -> None:
    """Open the page as one who has chosen this language there before, or none."""
    resize(browser, size)
    browser.get(f"{url}/")
    browser.execute_script("localStorage.clear()")
    if language:
        browser.execute_script("localStorage.setItem('plantood-language', arguments[0])", language)
    browser.refresh()
    _until(browser, lambda: _text(browser, "model") != "…")


def _until(browser: webdriver.Chrome, condition: object) -> None:
    WebDriverWait(browser, 15).until(lambda _: condition())


def _text(browser: webdriver.Chrome, identity: str) -> str:
    return browser.find_element(By.ID, identity).text


def _spoken(browser: webdriver.Chrome) -> str:
    return browser.find_element(By.ID, "announce").get_attribute("textContent").strip()


def _choose(browser: webdriver.Chrome, photo: Path, into: str = "file") -> None:
    browser.find_element(By.ID, into).send_keys(str(photo))


def _judged(browser: webdriver.Chrome, word: str) -> None:
    _until(browser, lambda: _text(browser, "word") == word)


def _unfold(browser: webdriver.Chrome) -> None:
    browser.find_element(By.CSS_SELECTOR, "#details > summary").click()


def _speak(browser: webdriver.Chrome, language: str) -> None:
    Select(browser.find_element(By.ID, "language")).select_by_value(language)


def _told(browser: webdriver.Chrome) -> str:
    """The error that shows."""
    _until(browser, lambda: _text(browser, "error"))
    assert not browser.find_element(By.ID, "verdict").is_displayed()
    return _text(browser, "error")


def _noise(path: Path, megabytes: float) -> Path:
    """A photo of so many megabytes that no network can make smaller."""
    side = int((megabytes * 1e6 / 3) ** 0.5)
    Image.effect_noise((side, side), 99).convert("RGB").save(path, "BMP")
    return path


def test_a_plant_is_accepted_with_its_scores_and_timings(page: webdriver.Chrome) -> None:
    _choose(page, SAMPLES / "maize_leaf.jpg")
    _judged(page, "Good photo")
    assert not page.find_element(By.ID, "facts").is_displayed()
    _unfold(page)
    assert re.fullmatch(r"\d{2,3}\.\d%", _text(page, "probability"))
    facts = _text(page, "facts")
    for fact in (
        "Size\n256 \N{MULTIPLICATION SIGN} 256 (0.07 MP)",
        "Brightness",
        "Sharpness",
        "Time: decode",
        "Time: score",
    ):
        assert fact in facts
    assert page.find_element(By.ID, "preview").is_displayed()
    assert not page.find_element(By.ID, "enough").is_displayed()
    assert _text(page, "model") == "plantood-gate:starter"


def test_a_retake_says_why_in_the_language_chosen(page: webdriver.Chrome) -> None:
    _choose(page, SAMPLES / "bare_soil.jpg", into="camera")
    _judged(page, "Take it again")
    english = _text(page, "reasons")
    _unfold(page)
    assert "Reason\nnot_a_plant" in _text(page, "facts")
    _speak(page, "fr")
    _judged(page, AGAIN["fr"])
    assert _text(page, "reasons") not in ("", english)
    assert page.find_element(By.ID, "reasons").get_attribute("lang") == "fr"


@pytest.mark.parametrize("language", ["en", "fr", "sw"])
def test_one_who_listens_hears_one_language_and_one_full_stop_each(
    browser: webdriver.Chrome, server: Server, language: str
) -> None:
    _open(browser, server.url, DESKTOP, language)
    for sample, word in (("bare_soil", AGAIN), ("maize_leaf", GOOD), ("broken_upload", AGAIN)):
        _choose(browser, SAMPLES / f"{sample}.jpg")
        _judged(browser, word[language])
        because = browser.find_element(By.ID, "reasons").get_attribute("textContent")
        assert _spoken(browser).split() == f"{word[language]}. {because}".split()
        assert ".." not in _spoken(browser)
        said = browser.find_elements(By.CSS_SELECTOR, "#announce span")
        assert {part.get_attribute("lang") for part in said} == {language}


def test_all_of_the_page_is_in_the_language_chosen(
    browser: webdriver.Chrome, server: Server
) -> None:
    read = {}
    for language in ("en", "fr", "sw"):
        _open(browser, server.url, DESKTOP, language)
        _choose(browser, SAMPLES / "bare_soil.jpg")
        _judged(browser, AGAIN[language])
        _unfold(browser)
        _until(browser, lambda: browser.find_element(By.ID, "preview").is_displayed())
        assert browser.find_element(By.TAG_NAME, "html").get_attribute("lang") == language
        texts = browser.execute_script(READ)
        assert {lang for name, _, lang in texts if not name.startswith("pre#json")} <= {language}
        read[language] = [text for _, text, _ in texts]
    numbers = re.compile(
        r"[\d\s,.\u00d7%()]+(ms|MP\))?|plantood-gate:starter|not_a_plant|\{.*", re.DOTALL
    )
    english = {text for text in read["en"] if not numbers.fullmatch(text)} - SAME_IN_ALL
    assert len(english) > 25
    assert english & set(read["sw"]) == {"↻"}
    assert english & set(read["fr"]) == {"↻", "Photo"}


def test_every_text_is_there_in_every_language(page: webdriver.Chrome, server: Server) -> None:
    texts = page.execute_script("return TEXTS")
    assert texts.keys() == {"en", "fr", "sw"}
    for language, own in texts.items():
        assert own.keys() == texts["en"].keys(), language
        for key, text in own.items():
            placeholders = sorted(re.findall(r"{\w+}", texts["en"][key]))
            assert sorted(re.findall(r"{\w+}", text)) == placeholders, (language, key)
    # Whoever has no JavaScript, or not yet, reads the same English.
    source = httpx.get(f"{server.url}/").text
    for key, text in re.findall(r'data-text="(\w+)"[^>]*>([^<]*)<', source):
        assert text == texts["en"][key]
    for text, key in re.findall(r'(?:alt|aria-label)="([^"]*)" data-label="(\w+)"', source):
        assert text == texts["en"][key]


def test_numbers_are_written_as_the_language_does(
    browser: webdriver.Chrome, server: Server
) -> None:
    _open(browser, server.url, DESKTOP, "fr")
    _choose(browser, SAMPLES / "maize_leaf.jpg")
    _judged(browser, GOOD["fr"])
    _unfold(browser)
    assert re.fullmatch(r"\d{2,3},\d\s%", _text(browser, "probability"))
    assert re.search(r"75,0\s%", _text(browser, "threshold"))
    assert "(0,07 MP)" in _text(browser, "facts")
    assert not re.search(r"\d\.\d", _text(browser, "facts"))


def test_an_unreadable_photo_shows_no_score(page: webdriver.Chrome) -> None:
    _choose(page, SAMPLES / "broken_upload.jpg")
    _judged(page, "Take it again")
    _unfold(page)
    assert "unreadable" in _text(page, "facts")
    assert not page.find_element(By.ID, "score").is_displayed()
    assert not page.find_element(By.ID, "enough").is_displayed()


@pytest.mark.parametrize("kind", ["drop", "paste"])
def test_a_photo_can_be_dropped_or_pasted(page: webdriver.Chrome, kind: str) -> None:
    photo = (SAMPLES / "maize_leaf.jpg").read_bytes()
    page.execute_script(HAND_OVER, kind, "leaf.jpg", list(photo))
    _judged(page, "Good photo")


def test_a_refused_upload_is_told(page: webdriver.Chrome, tmp_path: Path) -> None:
    large = tmp_path / "large.jpg"
    large.write_bytes(bytes(21 << 20))
    _choose(page, large)
    assert _told(page) == "This photo is larger than 20 MB. Send a smaller one."
    assert not page.find_element(By.ID, "again").is_displayed()  # it would be refused again
    assert not page.find_element(By.ID, "details").is_displayed()
    _speak(page, "fr")
    assert _told(page).startswith("Cette photo dépasse 20 Mo.")
    _choose(page, SAMPLES / "maize_leaf.jpg")
    _judged(page, GOOD["fr"])
    assert _text(page, "error") == ""


def test_too_many_pixels_are_a_verdict_that_says_what_to_do(
    browser: webdriver.Chrome, other: Server, tmp_path: Path
) -> None:
    (tmp_path / "wide.jpg").write_bytes(encode(scene(2000, 1500)))
    _open(browser, other.url, PHONE, "sw")
    _choose(browser, tmp_path / "wide.jpg")
    _judged(browser, AGAIN["sw"])
    assert "ndogo zaidi" in _text(browser, "reasons")


def test_no_connection_is_told_and_the_photo_is_sent_again(page: webdriver.Chrome) -> None:
    offline = {"offline": True, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    _speak(page, "sw")
    page.execute_cdp_cmd("Network.enable", {})
    page.execute_cdp_cmd("Network.emulateNetworkConditions", offline)
    try:
        _choose(page, SAMPLES / "maize_leaf.jpg")
        assert _told(page).startswith("Hakuna intaneti.")
        focused = page.switch_to.active_element
        assert (focused.get_attribute("id"), focused.accessible_name) == ("again", "Jaribu tena")
        _speak(page, "en")
        assert _told(page).startswith("There is no internet connection.")
    finally:
        page.execute_cdp_cmd("Network.emulateNetworkConditions", offline | {"offline": False})
    page.find_element(By.ID, "again").click()
    _judged(page, "Good photo")


def test_too_many_uploads_are_told(
    browser: webdriver.Chrome, other: Server, tmp_path: Path
) -> None:
    _open(browser, other.url, PHONE, "fr")
    head = (
        b"POST /check HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n"
        b"Content-Type: multipart/form-data; boundary=b\r\n\r\n"
        b'--b\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
    )
    with contextlib.ExitStack() as stack:  # all the room there is, and then nothing more comes
        for _ in range(2):
            stalled = stack.enter_context(socket.create_connection(other.address))
            stalled.sendall(head + bytes(950_000))
        _choose(browser, _noise(tmp_path / "noise.bmp", 0.7))
        assert re.fullmatch(
            r"Trop de photos arrivent en ce moment\. Réessayez dans 5 secondes\.", _told(browser)
        )
    assert browser.find_element(By.ID, "again").text == "Réessayer"


class _StripsPrefix(BaseHTTPRequestHandler):
    """Serves at /gate what the service at `upstream` serves at /, as an ingress that rewrites."""

    upstream = ""

    def _forward(self) -> None:
        prefix, path = self.path[:5], self.path[5:]
        if prefix != "/gate":
            self.send_error(404)
            return
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        kind = {k: v for k, v in self.headers.items() if k.lower() in ("content-type", "accept")}
        url = self.upstream + "/" + path.lstrip("/")
        answer = httpx.request(self.command, url, content=body, headers=kind, timeout=30)
        self.send_response(answer.status_code)
        for name in ("content-type", "content-security-policy"):
            if name in answer.headers:
                self.send_header(name, answer.headers[name])
        self.send_header("Content-Length", str(len(answer.content)))
        self.end_headers()
        self.wfile.write(answer.content)

    def do_GET(self) -> None:
        self._forward()

    def do_POST(self) -> None:
        self._forward()

    def log_message(self, *_: object) -> None:
        """Nothing is logged."""


@pytest.mark.parametrize("path", ["/gate", "/gate?from=mail", "/gate/"])
def test_the_page_works_behind_a_proxy_that_strips_a_prefix(
    browser: webdriver.Chrome, server: Server, path: str
) -> None:
    handler = type("Handler", (_StripsPrefix,), {"upstream": server.url})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        try:
            _open(browser, f"http://127.0.0.1:{proxy.server_port}{path}", PHONE, "en")
            _choose(browser, SAMPLES / "maize_leaf.jpg")
            _judged(browser, "Good photo")
        finally:
            proxy.shutdown()


def test_a_gate_that_cannot_judge_is_told(browser: webdriver.Chrome, other: Server) -> None:
    _open(browser, other.url, PHONE, "sw")
    (scorer,) = other.workers("PlantScorer")
    scorer.suspend()
    try:
        _choose(browser, SAMPLES / "maize_leaf.jpg")
        assert _told(browser) == (
            "Kwa sasa picha haziwezi kukaguliwa. Jaribu tena baada ya sekunde 5."
        )
    finally:
        scorer.resume()
    other.wait_until_ready()


def test_a_service_that_breaks_off_or_is_gone_is_told(
    browser: webdriver.Chrome, tmp_path: Path
) -> None:
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 300_000}
    with serving(tmp_path) as short_lived:
        browser.execute_cdp_cmd("Network.enable", {})
        browser.execute_cdp_cmd("Network.setBlockedURLs", {"urls": ["*/model"]})
        _open(browser, short_lived.url, PHONE, "fr")
        browser.execute_cdp_cmd("Network.setBlockedURLs", {"urls": []})
        assert _text(browser, "model") == "indisponible"
        assert _text(browser, "privacy") == ""  # nothing is promised that nobody said
        _choose(browser, SAMPLES / "maize_leaf.jpg")
        _judged(browser, GOOD["fr"])

        browser.execute_cdp_cmd("Network.emulateNetworkConditions", slow)
        _choose(browser, _noise(tmp_path / "noise.bmp", 6))
        _until(browser, lambda: re.match(r"Envoi de la photo : [1-9]", _text(browser, "busy")))
        for process in [
            short_lived.supervisor,
            *short_lived.supervisor.children(recursive=True),
        ]:
            process.kill()
        assert _told(browser) == "L'envoi a été interrompu. Réessayez."
        fast = slow | {"uploadThroughput": -1}
        browser.execute_cdp_cmd("Network.emulateNetworkConditions", fast)
    browser.find_element(By.ID, "again").click()
    _until(browser, lambda: _told(browser).startswith("Le service ne répond pas."))
    _speak(browser, "en")
    assert _told(browser) == "The service does not answer. Is there a connection? Try again."


@pytest.mark.parametrize(
    ("language", "sentence"),
    [
        ("en", "The photo is judged and then forgotten."),
        ("fr", "La photo est vérifiée, puis oubliée."),
        ("sw", "Picha hukaguliwa, na haihifadhiwi."),
    ],
)
def test_the_page_says_that_photos_are_not_kept(
    browser: webdriver.Chrome, server: Server, language: str, sentence: str
) -> None:
    assert httpx.get(f"{server.url}/model").json()["keeps_photos"] is False
    _open(browser, server.url, PHONE, language)
    assert _text(browser, "privacy") == sentence


@pytest.mark.parametrize(
    ("language", "sentence"),
    [
        ("en", "Photos that are refused or unclear may be kept to improve the gate."),
        (
            "fr",
            "Les photos refusées ou peu claires peuvent être conservées pour améliorer la "
            "vérification.",
        ),
        (
            "sw",
            "Picha zinazokataliwa au zisizo wazi zinaweza kuhifadhiwa ili kuboresha ukaguzi.",
        ),
    ],
)
def test_the_page_says_that_photos_may_be_kept(
    browser: webdriver.Chrome, other: Server, language: str, sentence: str
) -> None:
    assert httpx.get(f"{other.url}/model").json()["keeps_photos"] is True
    _open(browser, other.url, PHONE, language)
    assert _text(browser, "privacy") == sentence


def test_a_probability_at_the_threshold_is_just_enough(
    browser: webdriver.Chrome, other: Server
) -> None:
    _open(browser, other.url, PHONE, "en")
    _choose(browser, SAMPLES / "maize_leaf.jpg")
    _judged(browser, "Good photo")
    assert _text(browser, "enough") == "Just enough."
    _choose(browser, SAMPLES / "bare_soil.jpg")
    _judged(browser, "Take it again")
    assert not browser.find_element(By.ID, "enough").is_displayed()


def test_a_language_of_the_operators_has_english_where_the_page_has_none(
    browser: webdriver.Chrome, other: Server
) -> None:
    _open(browser, other.url, PHONE, "lg")
    assert browser.find_element(By.TAG_NAME, "html").get_attribute("lang") == "lg"
    button = browser.find_element(By.CSS_SELECTOR, "[data-text=camera]")
    assert (button.text, button.get_attribute("lang")) == ("Take a photo", "en")
    _choose(browser, SAMPLES / "bare_soil.jpg")
    _judged(browser, "Take it again")
    assert _text(browser, "reasons") == LUGANDA
    said = browser.find_elements(By.CSS_SELECTOR, "#announce span")
    assert [part.get_attribute("lang") for part in said] == ["en", "lg"]
    # A language that no browser knows is offered by the name that the operator gave it.
    offered = [option.text for option in Select(browser.find_element(By.ID, "language")).options]
    assert "no tag!" in offered


def test_the_language_follows_the_browser(server: Server, other: Server) -> None:
    for wanted, url, chosen in (
        ("xx,sw-KE,en", server.url, "sw"),
        ("xx", server.url, "en"),
        ("xx", other.url, "sw"),  # the service's own
    ):
        reader = open_browser(wanted)
        try:
            _open(reader, url, PHONE)
            assert reader.find_element(By.ID, "language").get_attribute("value") == chosen
            assert reader.find_element(By.TAG_NAME, "html").get_attribute("lang") == chosen
        finally:
            reader.quit()


def test_the_language_chosen_is_remembered(page: webdriver.Chrome) -> None:
    _speak(page, "sw")
    page.refresh()
    _until(page, lambda: page.title == "plantood: kagua picha ya mmea")


def test_nothing_is_wider_than_a_small_phone(
    browser: webdriver.Chrome, other: Server, tmp_path: Path
) -> None:
    (tmp_path / "wide.jpg").write_bytes(bytes(21 << 20))
    for language in ("en", "fr", "sw"):
        _open(browser, other.url, (320, 568), language)
        _choose(browser, tmp_path / "wide.jpg")
        _told(browser)
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 320
        _choose(browser, SAMPLES / "maize_leaf.jpg")
        _judged(browser, GOOD[language])
        _unfold(browser)
        browser.find_element(By.CSS_SELECTOR, "#details details summary").click()
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 320


def test_a_phone_shows_the_verdict_first(browser: webdriver.Chrome, server: Server) -> None:
    _open(browser, server.url, PHONE)
    assert browser.find_element(By.ID, "camera").get_attribute("capture") == "environment"
    for language in ("en", "fr", "sw"):
        _speak(browser, language)
        _choose(browser, SAMPLES / "pocket.jpg", into="camera")  # two reasons
        _judged(browser, AGAIN[language])
        _until(browser, lambda: browser.find_element(By.ID, "preview").is_displayed())
        width, scroll = browser.execute_script(
            "return [innerWidth, document.documentElement.scrollWidth]"
        )
        assert scroll <= width == PHONE[0]
        shown = ("word", "reasons", "camera", "preview", "details")
        boxes = [browser.find_element(By.ID, identity).rect for identity in shown]
        for above, below in itertools.pairwise(boxes):
            assert above["y"] + above["height"] <= below["y"]
        again = boxes[shown.index("camera")]
        assert again["y"] + again["height"] <= PHONE[1]  # without scrolling
        assert not browser.find_element(By.ID, "facts").is_displayed()
        for target in browser.find_elements(By.CSS_SELECTOR, ".button, select, summary"):
            if target.is_displayed():
                assert min(target.size.values()) >= 44  # WCAG 2.5.5, target size


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast(page: webdriver.Chrome, scheme: str, tmp_path: Path) -> None:
    (tmp_path / "large.jpg").write_bytes(bytes(21 << 20))
    page.execute_cdp_cmd(
        "Emulation.setEmulatedMedia",
        {"features": [{"name": "prefers-color-scheme", "value": scheme}]},
    )
    _choose(page, tmp_path / "large.jpg")
    _told(page)
    for sample, word in ((None, None), ("maize_leaf", "Good photo"), ("bare_soil", AGAIN["en"])):
        if sample:
            _choose(page, SAMPLES / f"{sample}.jpg")
            _judged(page, word)
            page.execute_script("document.getElementById('details').open = true")
        contrasts = page.execute_script(CONTRASTS)
        assert len(contrasts) > 9
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


def test_the_focus_goes_to_the_verdict_and_on_to_the_next_photo(page: webdriver.Chrome) -> None:
    _choose(page, SAMPLES / "maize_leaf.jpg")
    _judged(page, "Good photo")
    focused = page.switch_to.active_element
    assert focused.get_attribute("id") == "verdict"
    assert focused.accessible_name == "Good photo"
    ActionChains(page).send_keys(Keys.TAB).perform()
    assert page.switch_to.active_element.get_attribute("id") == "camera"
    ActionChains(page).send_keys(Keys.TAB, Keys.TAB, Keys.ENTER).perform()
    _until(page, lambda: page.find_element(By.ID, "facts").is_displayed())
    # Another language is no new verdict: who chooses one stays there.
    page.find_element(By.ID, "language").send_keys("f")
    _judged(page, GOOD["fr"])
    assert page.switch_to.active_element.get_attribute("id") == "language"


def test_the_page_needs_nothing_from_outside(page: webdriver.Chrome, server: Server) -> None:
    page.get_log("browser")
    page.refresh()
    _choose(page, SAMPLES / "maize_leaf.jpg")
    _judged(page, "Good photo")
    loaded = page.execute_script("return performance.getEntriesByType('resource').map(e => e.name)")
    assert loaded
    assert all(url.startswith((server.url, "data:", "blob:")) for url in loaded)
    assert page.get_log("browser") == []
    headers = httpx.get(f"{server.url}/").headers
    assert "default-src 'none'" in headers["content-security-policy"]
