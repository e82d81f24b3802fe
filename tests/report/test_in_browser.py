"""The pages in a browser: they open without an error or a request, and their controls do what they say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ggcam.report.run_page import write_run_report
from ggcam.report.study_page import StudyResults, write_study_report
from report.browser import chromium, opened, requested, screen
from report.page_fixtures import run_results, study_summary

NAMES = ("Normal", "CHF", "pneumonia")
CASES = 12


@pytest.fixture(scope="module")
def results():
    return run_results(gallery=CASES)


@pytest.fixture(scope="module")
def pages(results, tmp_path_factory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("pages")
    paths = {name: root / f"{name} ü.html" for name in ("run", "study", "multi_label", "long")}
    write_run_report(results, paths["run"])
    write_run_report(run_results(gallery=5, multi_label=True), paths["multi_label"])
    long = tuple(f"class {i} of_a_name_that_goes_on_and_on_without_a_space_to_break_it" for i in range(14))
    write_run_report(run_results(gallery=4, names=long, run_id="r" * 200), paths["long"])
    summary = study_summary(sizes=(30, 60))
    write_study_report(StudyResults("s", summary, frozenset({"ggcam-cc+centre"})), paths["study"])
    return paths


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    with chromium(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@pytest.fixture
def run(driver, pages):
    screen(driver, 1280)
    return opened(driver, pages["run"])


def choose(driver, name, value):
    from selenium.webdriver.support.select import Select

    Select(driver.find_element("id", name)).select_by_value(value)


def seen(driver):
    """Names of the cases that are shown, in their order."""
    return [
        case.get_attribute("data-name") for case in driver.find_elements("css selector", ".case") if case.is_displayed()
    ]


def cams(driver):
    """Number of the class whose CAM each case shows."""
    script = """const shown = (cam) => getComputedStyle(cam).display !== "none";
        return [...document.querySelectorAll(".case")].map((one) =>
          [...one.querySelectorAll(".cam")].filter(shown).map((cam) => +cam.dataset.class))"""
    return driver.execute_script(script)


def style(driver, selector, name):
    return driver.execute_script(
        "return getComputedStyle(document.querySelector(arguments[0]))[arguments[1]]", selector, name
    )


@pytest.mark.parametrize("name", ["run", "study", "multi_label", "long"])
def test_a_page_opens_without_an_error_or_a_request(driver, pages, name):
    opened(driver, pages[name])
    assert driver.get_log("browser") == []
    assert requested(driver) <= {"file", "data"}
    assert driver.find_element("tag name", "h1").is_displayed()


@pytest.mark.parametrize("name", ["run", "study", "multi_label", "long"])
@pytest.mark.parametrize("width", [1280, 390])
def test_a_page_fits_its_screen(driver, pages, name, width):
    screen(driver, width)
    opened(driver, pages[name])
    for details in driver.find_elements("tag name", "details"):
        driver.execute_script("arguments[0].open = true", details)
    assert driver.execute_script("return document.documentElement.scrollWidth") <= width


def test_every_picture_is_one(run):
    script = """const done = arguments[0];
        Promise.all([...document.querySelectorAll("svg image")].map((image) => {
          const picture = new Image(); picture.src = image.getAttribute("href"); return picture.decode(); }))
        .then((all) => done(all.length), (error) => done(String(error)))"""
    pictures = CASES * (1 + len(NAMES)) + sum(case % 4 != 0 for case in range(CASES))
    assert run.execute_async_script(script) == pictures


def test_the_slider_moves_the_overlay_with_the_keyboard_too(run):
    from selenium.webdriver.common.keys import Keys

    slider = run.find_element("id", "opacity")
    assert float(style(run, ".cam.on", "opacity")) == float(style(run, ".gaze", "opacity")) == pytest.approx(0.65)
    slider.send_keys(Keys.ARROW_RIGHT)
    assert float(style(run, ".cam.on", "opacity")) == pytest.approx(0.66)
    slider.send_keys(Keys.HOME)
    assert float(style(run, ".cam.on", "opacity")) == float(style(run, ".gaze", "opacity")) == 0
    assert run.find_element("id", "opacity-value").text == "0 %"


def test_a_case_s_switch_changes_its_cam_alone(run):
    from selenium.webdriver.common.keys import Keys

    before = cams(run)
    case = run.find_element("css selector", ".case")
    other = next(radio for radio in case.find_elements("css selector", "input[type=radio]") if not radio.is_selected())
    number = int(other.get_attribute("value"))
    other.click()
    assert cams(run) == [[number], *before[1:]]
    assert case.find_element("css selector", ".cam-name").text == NAMES[number]
    other.send_keys(Keys.ARROW_DOWN)  # on to the next class, or round to the first
    assert cams(run) == [[(number + 1) % 3], *before[1:]]


def test_all_cams_follow_one_switch(run, results):
    first = {case.name: case.shown for case in results.gallery}
    predicted = {case.name: NAMES.index(case.predicted) for case in results.gallery}
    order = [case.get_attribute("data-name") for case in run.find_elements("css selector", ".case")]
    choose(run, "cam-class", "2")
    assert cams(run) == [[2]] * CASES
    choose(run, "cam-class", "predicted")
    assert cams(run) == [[predicted[name]] for name in order]
    choose(run, "cam-class", "first")
    assert cams(run) == [[first[name]] for name in order]


@pytest.mark.parametrize("layer", ["cam.on", "gaze", "scanpath", "regions"])
def test_a_layer_can_be_taken_off(run, layer):
    box = run.find_element("css selector", f"[data-layer={layer.partition('.')[0]}]")
    assert style(run, f".{layer}", "display") != "none"
    box.send_keys(" ")
    assert style(run, f".{layer}", "display") == "none"


def test_the_cells_of_a_map_can_be_seen(run):
    assert style(run, ".cam", "imageRendering") == "auto"
    run.find_element("css selector", "[data-layer=cells]").click()
    assert style(run, ".cam", "imageRendering") == "pixelated"


def test_filters_filter(run, results):
    def names(wanted):
        return {case.name for case in results.gallery if wanted(case)}

    for field, value, wanted in (
        ("outcome", "incorrect", lambda case: not case.correct),
        ("outcome", "correct", lambda case: case.correct),
        ("true-class", "CHF", lambda case: "CHF" in case.truth),
        ("agreement", "none", lambda case: case.agreement is None),
        ("agreement", "low", lambda case: case.agreement is not None and case.agreement < 0.25),
        ("agreement", "high", lambda case: case.agreement is not None and case.agreement > 0.5),
    ):
        expected = names(wanted)
        assert 0 < len(expected) < CASES, (field, value)
        choose(run, field, value)
        assert set(seen(run)) == expected
        assert run.find_element("id", "count").text == f"{len(expected)} of {CASES} cases"
        run.find_element("css selector", "button[type=reset]").click()
    choose(run, "outcome", "incorrect")
    choose(run, "true-class", "CHF")
    assert set(seen(run)) == names(lambda case: not case.correct and "CHF" in case.truth)


def test_the_worst_come_first_unless_another_order_is_chosen(run, results):
    assert seen(run) == [case.name for case in sorted(results.gallery, key=lambda case: case.truth_probability)]
    choose(run, "order", "name")
    assert seen(run) == [f"case{i}" for i in range(CASES)]  # case2 before case10
    choose(run, "order", "agreement")
    with_gaze = sorted(
        (case for case in results.gallery if case.agreement is not None), key=lambda case: case.agreement
    )
    assert seen(run)[: len(with_gaze)] == [case.name for case in with_gaze]


def test_a_case_can_be_enlarged_and_escape_shrinks_it(run):
    from selenium.webdriver.common.keys import Keys

    case = run.find_element("css selector", ".case")
    width = case.rect["width"]
    button = case.find_element("css selector", ".enlarge")
    button.send_keys(Keys.ENTER)
    assert case.rect["width"] > 1.5 * width
    assert button.get_attribute("aria-pressed") == "true"
    button.send_keys(Keys.ESCAPE)
    assert case.rect["width"] == width


def test_the_keyboard_reaches_every_control(run):
    from selenium.webdriver.common.keys import Keys

    reached = set()
    for _ in range(40):
        run.switch_to.active_element.send_keys(Keys.TAB)
        active = run.switch_to.active_element
        reached.add(active.get_attribute("id") or active.get_attribute("data-layer") or active.get_attribute("type"))
    assert {"opacity", "cam-class", "outcome", "true-class", "agreement", "order", "cam", "cells", "reset"} <= reached
    assert {"radio", "button"} <= reached


def test_without_gaze_or_labels_the_filters_of_multi_label_labels_work(driver, pages):
    opened(driver, pages["multi_label"])
    choose(driver, "true-class", "no label")
    assert seen(driver) == []
    choose(driver, "true-class", "CHF")
    assert len(seen(driver)) == 2


def test_dark_light_and_print_differ(run):
    light = style(run, "body", "backgroundColor")
    screen(run, 1280, dark=True)
    dark = style(run, "body", "backgroundColor")
    screen(run, 1280, dark=True, medium="print")
    assert style(run, "body", "backgroundColor") == "rgb(255, 255, 255)"
    assert style(run, ".tools", "display") == "none"
    assert style(run, ".line", "stroke") == "rgb(0, 114, 178)"
    assert light != dark
    screen(run, 1280)


def test_printing_opens_what_is_folded(run):
    assert run.execute_script("return document.querySelectorAll('details:not([open])').length") > 0
    run.execute_script("dispatchEvent(new Event('beforeprint'))")
    assert run.execute_script("return document.querySelectorAll('details:not([open])').length") == 0
    run.execute_script("dispatchEvent(new Event('afterprint'))")
    assert run.execute_script("return document.querySelectorAll('details:not([open])').length") > 0


def test_a_name_with_markup_filters_like_any_other(driver, tmp_path):
    names = ('<b>"x"</b>', "a & 'b'", "ü/ñ")
    results = run_results(gallery=6, names=names)
    gallery = tuple(replace(case, name=f"<i>é{number}") for number, case in enumerate(results.gallery))
    write_run_report(replace(results, gallery=gallery), tmp_path / "odd.html")
    opened(driver, tmp_path / "odd.html")
    for name in names:
        choose(driver, "true-class", name)
        assert set(seen(driver)) == {case.name for case in gallery if name in case.truth}
    assert driver.get_log("browser") == []
