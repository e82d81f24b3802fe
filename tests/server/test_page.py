"""The page in a browser: from a file to probabilities and maps, by mouse and keyboard, on narrow and dark screens."""

from __future__ import annotations

import base64
import json
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from dicom_output.predicted import source_dataset, write_source
from ggcam.inference.predictor import Predictor
from ggcam.server.app import create_app
from ggcam.server.counters import Counters
from ggcam.server.prediction_queue import PredictionQueue
from ggcam.server.settings import Settings
from report.browser import chromium, screen
from server.conftest import png

TOKEN = "correct-horse-battery-staple"
Serve = Callable[..., str]


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with chromium(tmp_path_factory.mktemp("profile")) as driver:
        driver.implicitly_wait(10)
        yield driver


@pytest.fixture(scope="module")
def serve(queue: PredictionQueue) -> Iterator[Serve]:
    """Return the address of a service in this process."""
    servers: list[tuple[uvicorn.Server, threading.Thread]] = []

    def start(**settings) -> str:
        app = create_app(queue, Settings(**settings), Counters())
        server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, lifespan="off"))
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.02)
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"

    yield start
    for server, thread in servers:
        server.should_exit = True
        thread.join(10)


@pytest.fixture(scope="module")
def address(serve: Serve) -> str:
    return serve()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    write_source(folder / "chest.dcm", source_dataset())
    (folder / "picture <b>.png").write_bytes(png(1))
    (folder / "broken.dcm").write_bytes(b"no image at all")
    return folder


@pytest.fixture
def page(driver: Any, address: str) -> Any:
    screen(driver, 1280)
    for kind in ("browser", "performance"):
        driver.get_log(kind)
    driver.get(address)
    wait_for(lambda: "Normal" in driver.find_element("id", "model").text)
    return driver


def wait_for(holds: Callable[[], object]) -> None:
    until = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.05)


def choose(driver: Any, path: Path) -> None:
    """Choose a file, and wait for its result or for the words about it."""
    driver.find_element("id", "file").send_keys(str(path))
    wait_for(lambda: driver.find_element("id", "results").is_displayed() or problem(driver))


def problem(driver: Any) -> str:
    return driver.find_element("id", "problem").text


def pixels(driver: Any) -> list[int]:
    """Colours of the picture: red, green, blue and opacity of each pixel."""
    return driver.execute_script(
        "const view = document.getElementById('view');"
        "return Array.from(view.getContext('2d').getImageData(0, 0, view.width, view.height).data)"
    )


def set_value(driver: Any, name: str, value: float) -> None:
    driver.execute_script(
        "const input = document.getElementById(arguments[0]); input.value = arguments[1];"
        "input.dispatchEvent(new Event('input'))",
        name,
        value,
    )


def test_a_dicom_image_is_predicted_and_nothing_is_fetched_from_elsewhere(
    page: Any, address: str, files: Path, predictor: Predictor
):
    choose(page, files / "chest.dcm")
    expected = predictor(files / "chest.dcm")
    rows = page.find_elements("css selector", ".row")
    found = {
        row.find_element("css selector", ".name").text: row.find_element("css selector", ".value").text for row in rows
    }
    assert found == {name: f"{100 * value:.1f} %" for name, value in expected.probabilities.items()}
    assert list(found.values()) == sorted(found.values(), key=lambda text: -float(text.split()[0]))
    assert page.find_element("css selector", ".row.shown .name").text == expected.predicted
    assert page.find_element("css selector", ".row input:checked").get_attribute("value") == expected.predicted
    assert expected.unusual
    reasons = [item.text for item in page.find_elements("css selector", "#reasons li")]
    assert reasons == list(expected.unusual.values())
    assert page.find_element("id", "status").text.startswith(f"chest.dcm: {expected.predicted}")
    assert page.find_element("css selector", ".notice").text == "For research use. Not for diagnosis."
    assert not [entry for entry in page.get_log("browser") if entry["level"] == "SEVERE"]
    events = (json.loads(entry["message"])["message"] for entry in page.get_log("performance"))
    asked = {event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"}
    assert asked
    assert all(url.startswith((address, "blob:", "data:")) for url in asked)


def test_classes_opacity_and_window_change_the_picture(page: Any, files: Path):
    choose(page, files / "chest.dcm")
    first = pixels(page)
    other = next(row for row in page.find_elements("css selector", ".row") if "shown" not in row.get_attribute("class"))
    other.click()
    assert pixels(page) != first
    assert other.find_element("css selector", ".name").text in page.find_element("id", "caption").text

    set_value(page, "opacity", 0)
    grey = pixels(page)
    set_value(page, "opacity", 80)
    assert pixels(page) != grey
    page.find_element("id", "show-map").click()
    assert pixels(page) == grey
    assert grey[0::4] == grey[1::4] == grey[2::4]
    window = [page.find_element("id", name).get_attribute("value") for name in ("width", "level")]
    set_value(page, "level", 1)
    bright = pixels(page)
    assert sum(bright) > sum(grey)
    page.find_element("id", "invert").click()
    assert all(a + b == 255 for a, b in zip(pixels(page)[0::4], bright[0::4], strict=True))
    page.find_element("id", "reset").click()
    assert pixels(page) == grey
    assert [page.find_element("id", name).get_attribute("value") for name in ("width", "level")] == window

    from selenium.webdriver import ActionChains

    view = page.find_element("id", "view")
    ActionChains(page).move_to_element(view).click_and_hold().move_by_offset(0, 15).release().perform()
    assert float(page.find_element("id", "level").get_attribute("value")) < float(window[1])


def test_everything_can_be_done_by_keyboard(page: Any, files: Path):
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.keys import Keys

    def press(key: str) -> None:
        ActionChains(page).send_keys(key).perform()

    choose(page, files / "chest.dcm")
    page.execute_script("document.activeElement.blur(); window.scrollTo(0, 0)")
    reached: list[str] = []
    while "summary" not in reached and len(reached) < 20:
        press(Keys.TAB)
        active = page.switch_to.active_element
        reached.append(active.get_attribute("id") or active.get_attribute("name") or active.tag_name)
        if reached[-1] == "class":
            before = page.find_element("css selector", ".row.shown .name").text
            press(Keys.ARROW_DOWN)
            assert page.find_element("css selector", ".row.shown .name").text != before
        if reached[-1] == "opacity":
            press(Keys.ARROW_LEFT)
            assert page.find_element("id", "opacity-value").text == "45 %"
    wanted = [
        "file",
        "class",
        "show-map",
        "opacity",
        "width",
        "level",
        "invert",
        "reset",
        "objects",
        "overlay",
        "summary",
    ]
    assert [name for name in reached if name in wanted] == wanted


@pytest.mark.parametrize("dark", [False, True])
def test_a_narrow_screen_needs_no_scrolling_sideways(page: Any, files: Path, dark: bool):
    screen(page, 390, dark=dark)
    choose(page, files / "chest.dcm")
    assert page.execute_script("return document.documentElement.scrollWidth") <= 390
    backgrounds = page.execute_script(
        "return ['body', 'fieldset'].map((tag) => getComputedStyle(document.querySelector(tag)).backgroundColor)"
    )
    for colour in backgrounds:
        brightness = sum(map(int, colour.removeprefix("rgb(").removesuffix(")").split(","))) / 3
        assert (brightness < 80) is dark


def test_a_dropped_png_file_has_no_dicom_results_and_its_name_is_text(page: Any, files: Path):
    page.execute_script(
        "const bytes = Uint8Array.from(atob(arguments[0]), (letter) => letter.charCodeAt(0));"
        "const transfer = new DataTransfer(); transfer.items.add(new File([bytes], 'picture <b>.png'));"
        "document.dispatchEvent(new DragEvent('drop', {dataTransfer: transfer, cancelable: true}))",
        base64.b64encode((files / "picture <b>.png").read_bytes()).decode(),
    )
    wait_for(lambda: page.find_element("id", "results").is_displayed())
    assert page.find_element("id", "status").text.startswith("picture <b>.png: ")
    assert not page.find_element("id", "objects").is_enabled()
    assert "not a DICOM image" in page.find_element("id", "no-objects").text


def test_an_unreadable_file_is_explained_and_the_next_one_works(page: Any, files: Path):
    choose(page, files / "broken.dcm")
    assert problem(page).startswith("broken.dcm: unknown image format\nexpected: PNG, JPEG, TIFF or DICOM")
    assert not page.find_element("id", "results").is_displayed()
    page.find_element("id", "file").send_keys(str(files / "chest.dcm"))
    wait_for(lambda: page.find_element("id", "results").is_displayed())
    assert not problem(page)


def test_dicom_results_are_downloaded(page: Any, files: Path, tmp_path: Path):
    page.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    choose(page, files / "chest.dcm")
    page.find_element("id", "objects").click()
    wait_for(lambda: (tmp_path / "ggcam.zip").is_file())
    with zipfile.ZipFile(tmp_path / "ggcam.zip") as archive:
        assert [name[:2] for name in archive.namelist()] == ["pm", "sr", "sc"]


def test_the_page_asks_for_the_token(driver: Any, serve: Serve, files: Path):
    driver.get(serve(token=TOKEN))
    wait_for(lambda: driver.find_element("id", "sign-in").is_displayed())
    field = driver.find_element("id", "token")
    field.send_keys("wrong\n")
    wait_for(lambda: driver.find_element("id", "sign-in-problem").text == "the token is missing or wrong")
    field.clear()
    field.send_keys(f"{TOKEN}\n")
    wait_for(lambda: "Normal" in driver.find_element("id", "model").text)
    choose(driver, files / "chest.dcm")
    assert driver.find_element("id", "results").is_displayed()


def test_the_description_for_programs_is_shown(driver: Any, address: str):
    driver.get(f"{address}/docs")
    wait_for(lambda: "POST /predict" in driver.find_element("id", "operations").text)
    text = driver.find_element("tag name", "main").text
    assert "curl -F file=@chest.dcm" in text
    assert "503" in text
