# SPDX-License-Identifier: Apache-2.0
"""What the site of a report weighs and how long its pages take: `python benchmarks/report.py RESULTS...`.

The same file may be named several times, to have more runtimes. Needs Chromium (see `tox -e browser`). No test: the
figures depend on the machine and on what else it does. Exit status 1 if the site is larger or slower than it is meant
to be.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from time import perf_counter

from selenium import webdriver
from selenium.webdriver.support.ui import WebDriverWait

from bpf_isa.conformance.cli.echo import echo
from bpf_isa.conformance.report.comparison import compare
from bpf_isa.conformance.report.site import write_site
from bpf_isa.conformance.results.recorded import read

#: Bytes of a whole site, and seconds until a page shows what it has to show.
LARGEST, SLOWEST = 20_000_000, 2.0
PAGES = ("index.html", "instructions.html", "vectors.html", "vectors.html#verdict=fail", "vector.html#add64-x/operands")
READY = (
    "const {dataset} = document.querySelector('.explorer, #vector') ?? {dataset: {ready: 1}};"
    "return dataset.ready || dataset.shown"
)


def main(files: list[str]) -> int:
    """Print the figures."""
    start = perf_counter()
    documents = [read(Path(file)) for file in files]
    echo(f"read {len(documents)} files: {perf_counter() - start:.1f} s")
    start = perf_counter()
    comparisons = compare(documents)
    with tempfile.TemporaryDirectory() as folder:
        site = Path(folder)
        write_site(comparisons, site)
        echo(f"write the site: {perf_counter() - start:.1f} s")
        size = sum(file.stat().st_size for file in site.rglob("*") if file.is_file())
        runtimes, vectors = len(comparisons[0].columns), len(comparisons[0].vectors)
        echo(f"{runtimes} runtimes, {vectors:,} vectors: {size / 1e6:.1f} MB")
        slowest = _load(site, [*PAGES, f"runtimes/{comparisons[0].columns[-1].key}.html"])
    return int(size > LARGEST or slowest > SLOWEST)


def _load(site: Path, pages: list[str]) -> float:
    """Open the pages in a fresh Chromium; return the time of the slowest."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    slowest = 0.0
    try:
        for page in pages:
            driver.get("about:blank")
            start = perf_counter()
            driver.get(f"{site.as_uri()}/{page}")
            WebDriverWait(driver, 60, 0.01).until(lambda there: there.execute_script(READY))
            seconds = perf_counter() - start
            slowest = max(slowest, seconds)
            echo(f"{page}: {seconds:.2f} s")
    finally:
        driver.quit()
    return slowest


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
