"""A headless Chromium for the tests of pages; it asks for nothing of its own."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

QUIET = (
    "headless=new",
    "no-sandbox",  # or it will not run as root
    "disable-gpu",
    "disable-dev-shm-usage",
    "disable-quic",
    "no-first-run",
    "disable-background-networking",
    "disable-component-update",
    "disable-sync",
    "hide-scrollbars",
)

PROGRAMS = ("chromium", "chromedriver")


@contextmanager
def chromium(profile: Path) -> Iterator[Any]:
    """A driver of Chromium; skips the test where there is none, or no Selenium."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="Selenium is not installed: pip install 'ggcam[dev]'")
    found = {name: shutil.which(name) for name in PROGRAMS}
    if absent := [name for name, path in found.items() if path is None]:
        pytest.skip(f"there is no {' and no '.join(absent)}: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = found["chromium"]
    for flag in (*QUIET, f"user-data-dir={profile}", "window-size=1280,900"):
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(found["chromedriver"]))
    try:
        yield driver
    finally:
        driver.quit()


def opened(driver: Any, page: Path) -> Any:
    """Open a page anew, and forget what was logged before."""
    for kind in ("browser", "performance"):
        driver.get_log(kind)
    driver.get(page.as_uri())
    return driver


def requested(driver: Any) -> set[str]:
    """Beginnings of all addresses that were asked for since the page was opened, up to the colon."""
    events = (json.loads(entry["message"])["message"] for entry in driver.get_log("performance"))
    sent = (event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent")
    return {url.partition(":")[0] for url in sent}


def screen(driver: Any, width: int, dark: bool = False, medium: str = "") -> None:
    """Look at the page on a screen so wide, in light or dark; or as it would be printed."""
    driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    )
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": medium, "features": [scheme]})
