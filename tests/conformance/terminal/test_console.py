# SPDX-License-Identifier: Apache-2.0
"""What is printed on a terminal cannot act on it, wherever the text comes from."""

import io
import os
import re
import subprocess
import sys
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st
from rich.markup import escape
from rich.progress import Progress, TextColumn
from rich.table import Table
from rich.text import Text

from bpf_isa.conformance.terminal.console import Console

UNSAFE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
#: What this program writes itself: styles, and the movements of a progress bar.
OWN = re.compile(r"\x1b\[[0-9;]*m|\x1b\[[0-9]*[AK]|\x1b\[\?25[lh]|\r")
TEXTS = st.text() | st.text(st.sampled_from("ab \n\t\r\x00\x07\x1b[]31m\x7f\x9b\u202e\u2066\ud800\\/"))


def console() -> tuple[Console, io.StringIO]:
    file = io.StringIO()
    return Console(file=file, force_terminal=True, color_system="standard", width=80, legacy_windows=False), file


def without_styles(file: io.StringIO) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", file.getvalue())


@given(text=TEXTS)
def test_lines(text: str) -> None:
    ours, file = console()
    # A style of its own around each part: an escape from the text would stand between those of the styles.
    ours.say(("begin", "bold"), text, (text, "red"), Text(text, "dim"))
    shown = without_styles(file)
    assert not UNSAFE.search(shown)
    assert shown.count("\n") == 1 and shown.endswith("\n")


@example("\u0300" + "a" * 100)  # rich 14.3.2 never ends where such a line is cropped
@given(text=TEXTS)
def test_tables(text: str) -> None:
    ours, file = console()
    table = Table("name", title=escape(text))
    table.add_row(escape(text))
    table.add_row(Text(text))
    ours.print(table)
    assert not UNSAFE.search(without_styles(file))


def test_text_is_no_markup() -> None:
    ours, file = console()
    ours.say("[red]a[/]", ("[b]b[/]", "bold"))
    assert without_styles(file) == "[red]a[/][b]b[/]\n"


def test_progress() -> None:
    ours, file = console()
    with Progress(TextColumn("{task.description}"), console=ours, auto_refresh=False) as progress:
        progress.add_task(escape("a\x1b[2Jb\u202e"), total=1)
        progress.refresh()
    assert not UNSAFE.search(OWN.sub("", file.getvalue()))


def test_a_locale_that_lacks_a_character() -> None:
    command = [str(Path(sys.executable).with_name("bpf-isa")), "runtimes", "€=reference"]
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("  works  \\u20ac  ")
