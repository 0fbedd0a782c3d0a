# SPDX-License-Identifier: Apache-2.0
"""No text from a file or a runtime is taken for markup in Markdown."""

from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from bpf_isa.conformance.report.markdown import as_code, as_text
from bpf_isa.spec.plain import plain

TEXTS = st.text() | st.text(st.sampled_from("ab_ *`[]()<>|~&#!@\\\n-:/;"), max_size=30)


def cells(*contents: str) -> list[list[Token]]:
    """Return what a parser of Markdown makes of a row of a table: the tokens of each cell."""
    head = "|" + " a |" * len(contents)
    text = f"{head}\n{head.replace(' a ', '---')}\n| {' | '.join(contents)} |\n"
    found = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)
    inline = [token.children or [] for token in found if token.type == "inline"]
    assert len(inline) == 2 * len(contents)
    return inline[len(contents) :]


def shown(text: str) -> str:
    return " ".join(plain(" ".join(text.split())).split())


@given(TEXTS)
def test_text_is_text(text: str) -> None:
    found, bold, after = cells(f"x{as_text(text)}", f"**x{as_text(text)}**", "z")
    for cell, around in ((found, []), (bold, ["strong_open", "strong_close"])):
        assert {token.type for token in cell} <= {"text", "text_special", *around}
        assert "".join(token.content for token in cell).replace("\u200b", "") == f"x{shown(text)}"
    assert [token.content for token in after] == ["z"]
    assert "<" not in as_text(text) and ">" not in as_text(text)  # in the line of a summary, which is HTML


@given(TEXTS)
def test_code_is_code(text: str) -> None:
    found, after = cells(as_code(f"x{text}"), "z")
    assert [token.type for token in found] == ["code_inline"]
    assert found[0].content == shown(f"x{text}").replace("`", "'")
    assert [token.content for token in after] == ["z"]
