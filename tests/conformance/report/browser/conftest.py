# SPDX-License-Identifier: Apache-2.0
"""A real Chromium, and pages in it. Runs in `tox -e browser` only: it needs Debian's chromium and chromium-driver."""

import shlex
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.command import Command
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

#: Until the page has drawn what it had to load first.
READY = "return (document.querySelector('.explorer, #vector')?.dataset ?? {ready: 1, shown: 1})"
PATIENCE = 60


class Chromium:
    """A browser at work on the pages of a folder."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def open(self, page: Path, fragment: str = "") -> None:
        """Load a page, from scratch, and wait until it has drawn what it loads."""
        self.driver.get("about:blank")
        self.console()
        self.driver.get(page.resolve().as_uri() + fragment)
        self.wait()

    def wait(self) -> None:
        """Wait until the page has drawn what it loads."""

        def drawn(driver: webdriver.Chrome) -> bool:
            found: dict[str, str] = driver.execute_script(READY)
            return "ready" in found or "shown" in found

        WebDriverWait(self.driver, PATIENCE, 0.02).until(drawn)

    def until(self, script: str) -> None:
        """Wait until a script returns something true."""
        WebDriverWait(self.driver, PATIENCE, 0.02).until(lambda driver: driver.execute_script(f"return {script}"))

    def run(self, script: str, *arguments: Any) -> Any:
        """Return what a script returns."""
        return self.driver.execute_script(script, *arguments)

    def all(self, selector: str) -> list[WebElement]:
        """All elements that a selector finds."""
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector: str) -> WebElement:
        """The first element that a selector finds."""
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def texts(self, selector: str) -> list[str]:
        """What is to be read in all elements that a selector finds and that can be seen."""
        return [element.text for element in self.all(selector) if element.is_displayed()]

    @property
    def hash(self) -> str:
        """The part of the address that holds the state of the page."""
        found: str = self.run("return location.hash")
        return found

    def console(self) -> list[str]:
        """What the browser had to complain about."""
        entries: list[dict[str, str]] = self.driver.execute(Command.GET_LOG, {"type": "browser"})["value"]
        return [entry["message"] for entry in entries]

    def emulate(self, width: int, height: int, *, phone: bool = False, dark: bool = False, media: str = "") -> None:
        """Be a screen of this size, light or dark, or paper (`print`)."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        colours = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": [colours]})


@pytest.fixture(scope="session")
def session() -> Iterator[Chromium]:
    browser, service = shutil.which("chromium"), shutil.which("chromedriver")
    if not (browser and service):
        pytest.skip("no chromium and chromedriver here: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    # The sandbox cannot be had as root, /dev/shm is small in containers, and nothing is hit while it still moves.
    for argument in ("no-sandbox", "disable-dev-shm-usage", "disable-gpu", "force-prefers-reduced-motion"):
        options.add_argument(f"--{argument}")
    options.add_argument("--headless=new")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(service))
    try:
        yield Chromium(driver)
    finally:
        driver.quit()


@pytest.fixture
def browser(session: Chromium) -> Chromium:
    """The browser with a screen of usual size, light."""
    session.emulate(1280, 900)
    return session


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The script of axe-core, which finds what keeps people from using a page: npm has it, or a wheel that holds it."""
    folder = tmp_path_factory.mktemp("axe")
    npm = ["npm", "pack", "axe-core@4", "--pack-destination", str(folder)]
    pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--dest", str(folder), "axe-playwright-python==0.1.8"]
    problems = []
    for words in (npm, pip):
        if shutil.which(words[0]) is None:
            problems.append(f"no {words[0]} here")
            continue
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)
        if done.returncode == 0:
            return _script(next(path for path in folder.iterdir() if path.suffix in {".tgz", ".whl"}))
        problems.append(f"{shlex.join(words)}: {done.stderr.strip().splitlines()[-1:]}")
    pytest.skip(f"axe-core cannot be had: {'; '.join(problems)}")


def _script(archive: Path) -> str:
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            return wheel.read("axe_playwright_python/axe.min.js").decode()
    with tarfile.open(archive) as packed:
        script = packed.extractfile("package/axe.min.js")
        assert script is not None
        return script.read().decode()
