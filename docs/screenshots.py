# SPDX-License-Identifier: Apache-2.0
"""Make the README's pictures of a report: ``python docs/screenshots.py REPORT FOLDER``; see ``tox -e report``."""

import shutil
import sys
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.support.ui import WebDriverWait

WIDTH = 1440
HEIGHT = 860
#: The first vector of the level must that one runtime passes and another computes wrongly; any other if there is none.
TELLING = """
const done = arguments[0];
bpfLoad("index").then((index) => {
  const words = (entry, at) => entry.states.map((row) => index.states[row.charCodeAt(at) - 33].word);
  for (const entry of index.entries.filter((one) => one.level === "must")) {
    for (let at = 0; at < entry.cases.length; at += 1) {
      const found = words(entry, at);
      if (found.includes("wrong-result") && found.includes("")) {
        done(entry.cases[at] === null ? entry.id : `${entry.id}/${entry.cases[at]}`);
        return;
      }
    }
  }
  done(index.entries[0].id);
});
"""


def main(report: Path, folder: Path) -> None:
    """Open the pages of a report in Chromium and keep how they look."""
    found = {name: shutil.which(name) for name in ("chromium", "chromedriver")}
    if not all(found.values()):
        sys.exit("no chromium and chromedriver here: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = str(found["chromium"])
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--hide-scrollbars"):
        options.add_argument(argument)
    folder.mkdir(parents=True, exist_ok=True)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(found["chromedriver"]))
    try:
        _look(driver, report / "index.html", folder / "report-overview.png", "light")
        driver.get((report / "vectors.html").resolve().as_uri())
        vector = driver.execute_async_script(TELLING)
        _look(driver, report / "vector.html", folder / "report-vector.png", "dark", f"#{vector}")
        _look(driver, _most_telling(report), folder / "report-runtime.png", "light")
    finally:
        driver.quit()


def _most_telling(report: Path) -> Path:
    """Return the page of the runtime about which there is most to say."""
    return max(sorted((report / "runtimes").glob("*.html")), key=lambda page: page.read_text("utf-8").count("<li>"))


def _look(driver: webdriver.Chrome, page: Path, picture: Path, theme: str, fragment: str = "") -> None:
    """Keep how the upper part of a page looks."""
    size = {"width": WIDTH, "height": HEIGHT, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    colours = [{"name": "prefers-color-scheme", "value": theme}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": colours})
    driver.get("about:blank")
    driver.get(page.resolve().as_uri() + fragment)
    shown = "const page = document.querySelector('#vector'); return !page || page.dataset.shown"
    WebDriverWait(driver, 60).until(lambda there: there.execute_script(shown))
    picture.write_bytes(driver.get_screenshot_as_png())


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
