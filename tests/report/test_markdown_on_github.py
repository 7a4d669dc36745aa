"""Markdown as GitHub reads it: by its own engine, cmark-gfm, with the extensions that it has on."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import cmarkgfm
import pytest
from cmarkgfm.cmark import Options
from hypothesis import example, given, settings
from hypothesis import strategies as st
from synthetic import FABRIC, PLAIN, TRAINER, make
from test_borders import hostile
from test_sinks import infected, judged
from tiers import Choice, examples

from bench import borders
from bench.analysis.summary import summarize
from bench.report import gate, markdown
from bench.report.markdown_parts import LONGEST_COMMENT, Part, folded_part, listed, markdown_page, table_head, table_row
from bench.report.sentences import headlines


class Rendered(HTMLParser):
    """What a reader sees: elements, tables by row, text, and what is folded up."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.tables: list[list[list[str]]] = []
        self.text = ""
        self.summaries: list[str] = []
        self._open: list[str] = []
        html = cmarkgfm.github_flavored_markdown_to_html(text, Options.CMARK_OPT_UNSAFE)
        self.html = html
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        if tag in ("td", "th"):
            self.tables[-1][-1].append("")
        if tag == "summary":
            self.summaries.append("")
        self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag, self.html

    def handle_data(self, data: str) -> None:
        self.text += data
        if set(self._open) & {"td", "th"}:
            self.tables[-1][-1][-1] += data
        if "summary" in self._open:
            self.summaries[-1] += data


OURS = {"table", "thead", "tbody", "tr", "th", "td", "p", "ul", "li", "code", "h2", "details", "summary", "span", "sub"}
TEMPTING = (
    *(
        "_",
        "a",
        "_b_",
        "www.x.y",
        "http://",
        "a@b.de",
        "@foo",
        "#12",
        "GH-3",
        ":tada:",
        "$",
        "$x$",
        "`",
        "|",
        "\\",
        "*",
    ),
    *(
        "~~",
        "[x] ",
        "1. ",
        "1)",
        "---",
        "mailto:",
        "xmpp:",
        "é",
        "(",
        ")",
        "!",
        "[",
        "]",
        "&",
        "&#36;",
        "<b>",
        ":",
        "#",
    ),
    *("[^1]: ", "[x]: y", "owner/name#1", "owner@0123456", "<!--", "-->", "$$", "::", "**a**", "<details>", " ", "  "),
)
tempting = st.one_of(st.lists(st.sampled_from(TEMPTING), max_size=8).map("".join), hostile)
# What GitHub does after its engine, as html-pipeline does it: within the text between two tags, but for code.
ACTS = re.compile(r"(?:^|[^\w])@\w|(?:^|\W)#\d|\bGH-\d|:[\w+-]+:|\$", re.ASCII | re.IGNORECASE)


def left_to_act_on(html: str) -> list[str]:
    """Pieces of text in which GitHub would find something; a lone `$` in a span is what its documentation advises."""
    bare = re.sub(r"<code>.*?</code>|<span>[$@#:.-]</span>", "<>", html, flags=re.DOTALL)
    return [piece for piece in re.split(r"<[^>]*>", bare) if ACTS.search(piece)]


@settings(max_examples=examples(150), deadline=None)
@given(tempting, tempting)
@example("| `x` | <b> $a$ @you #1 https://a.b www.c.d e@f.g :tada: GH-1", "_a_ __b__ *c* ~~d~~ [e](f) ![g](h) &#36;")
def test_any_text_comes_back_out_of_a_table_a_list_and_a_line(one: str, other: str) -> None:
    marked, code = borders.markdown_text(one), borders.markdown_code(other)
    text = "\n".join([*table_head(["a", "b"]), table_row([marked, code]), "", f"- {marked}", "", marked, ""])
    seen = Rendered(text)
    shown, other_shown = borders.one_line(one), borders.one_line(other)
    assert seen.tables == [[["a", "b"], [shown, other_shown]]], text
    assert set(seen.tags) <= OURS
    assert " ".join(seen.text.split()) == " ".join(f"a b {shown} {other_shown} {shown} {shown}".split())
    assert left_to_act_on(seen.html) == []


def test_what_github_acts_on_is_found_where_nothing_is_done_about_it() -> None:
    for text in ("a @you", "(#1)", "GH-1", "x :tada: y", "it costs $1"):
        assert left_to_act_on(f"<p>{text}</p>")
        assert not left_to_act_on(Rendered(borders.markdown_text(text)).html)
    assert "<a " in Rendered("www.a.bc https://a.bc").html  # the engine has GitHub's links on


@settings(max_examples=examples(12), deadline=None)
@given(hostile)
@example("| `x` | <b> $a$ @you #1 https://a.b")
def test_a_run_of_any_names_has_a_table_a_group_and_a_row_a_cell(text: str) -> None:
    summary = summarize(infected(text))
    seen = Rendered(markdown.render(summary))
    assert set(seen.tags) <= OURS
    groups: dict[str, list[str]] = {}
    for cell in summary.cells:
        name = borders.one_line(str(cell.point["loop"])) + (" (twin)" if cell.twin else "")
        groups.setdefault(cell.group, []).append(" ".join(name.split()))
    of_cells = [table for table in seen.tables if table[0][1] == "outcome"]
    assert [[row[0] for row in table[1:]] for table in of_cells] == list(groups.values())
    for table in seen.tables:
        assert {len(row) for row in table} == {len(table[0])}
    assert left_to_act_on(seen.html) == []
    for group, name in zip(groups, seen.summaries, strict=False):
        assert f"{len(groups[group])} cells" in name


@settings(max_examples=examples(30), deadline=None)
@given(tempting)
def test_a_verdict_of_any_names_is_one_table(text: str) -> None:
    seen = Rendered(gate.markdown(judged(text), text))
    assert set(seen.tags) <= OURS
    (table,) = seen.tables
    assert [row[0] for row in table[1:]] == [borders.one_line(f"cell{text}")] * 2
    assert {len(row) for row in table} == {len(gate.GATE_COLUMNS)}
    assert left_to_act_on(seen.html) == []


def test_the_answer_stands_first_and_only_the_first_table_is_unfolded() -> None:
    summary = summarize(make(launches=3, instrument=1, failures={(TRAINER, 32, 1): ("crashed", "no | mood")}))
    text = markdown.render(summary)
    seen = Rendered(text)
    places = [text.index(borders.markdown_text(sentence)) for sentence in headlines(summary)]
    assert places == sorted(places)
    assert places[-1] < text.index("Not ok: 1 of 12 cells") < text.index("<details")
    assert text.count("<details open>") == 1
    assert seen.summaries[:3] == [
        "batch_size 32: 4 cells, 1 not ok",
        "batch_size 256: 4 cells",
        "batch_size 2048: 4 cells",
    ]
    assert [row[0] for row in seen.tables[0]] == ["loop", PLAIN, FABRIC, TRAINER, f"{PLAIN} (twin)"]
    assert seen.tables[0][0][-1] == "reason"
    assert "reason" not in seen.tables[1][0]


# --- a comment's length


def test_a_run_of_many_groups_is_shortened_by_a_rule_and_says_so(cases: Choice) -> None:
    count = cases(60, 400)
    summary = summarize(make(lengths={8 + place: 1e-3 for place in range(count)}, launches=2, rounds=8))
    text = markdown.render(summary)
    assert len(text.encode("utf-8")) <= LONGEST_COMMENT
    seen = Rendered(text)
    assert headlines(summary)[0] in seen.text
    kept = [table for table in seen.tables if table[0][1] == "outcome"]
    assert 10 < len(kept) < count
    assert all(len(table) == 5 for table in kept[:-1])
    assert "Left out, since a comment on GitHub has room for 65,536 letters" in seen.text
    whole = markdown.render(summary, longest=10**9)
    assert len(Rendered(whole).tables) == count
    assert "Left out" not in whole
    # What is there and what is said to be left out is all there is.
    left = re.search(r"([\d,]+) more parts", seen.text)
    assert left
    partly = " lines of “" in seen.text
    named = seen.text.partition("Left out")[2].count("“") - partly
    warned = bool(summary.warnings)
    assert len(kept) + named + int(left[1].replace(",", "")) == count + warned


@given(
    st.lists(st.tuples(hostile, st.lists(hostile, max_size=6), st.booleans()), min_size=1, max_size=6),
    st.integers(1200, 3000),
)
@settings(max_examples=examples(60), deadline=None)
def test_no_page_is_longer_than_it_may_be_and_none_has_half_a_table(
    given_: list[tuple[str, list[str], bool]], longest: int
) -> None:
    parts = []
    for name, texts, fold in given_:
        rows = [table_row([borders.markdown_text(text), "x"]) for text in texts]
        part = Part(name or "x", ["", *table_head(["a", "b"])], rows, [""])
        parts += [folded_part(name or "x", part) if fold else part, *listed("What:", texts)]
    text = markdown_page(parts, "All of it: elsewhere.", longest)
    assert len(text.encode("utf-8")) <= longest
    seen = Rendered(text)
    assert seen.tags.count("details") == len(seen.summaries)
    assert all(len(row) == 2 for table in seen.tables for row in table)
    whole = "\n".join(line for part in parts for line in part.lines)
    assert ("Left out" in seen.text) >= (len(whole.encode("utf-8")) > longest + 100)


def test_a_reason_as_long_as_a_log_leaves_room_for_the_figures() -> None:
    run = make(launches=2, failures={(TRAINER, 32, 0): ("crashed", "x" * 100_000)})
    text = markdown.render(summarize(run))
    assert len(text) < 20_000
    assert "x" * 400 in text


@pytest.mark.parametrize("records", ["none", "one launch"])
def test_a_run_of_which_nothing_is_known_reads_well(records: str) -> None:
    run = make(launches=1)
    seen = Rendered(markdown.render(summarize(replace(run, records=()) if records == "none" else run)))
    assert len(seen.tables) == 3
    assert "Not ok: 12 of 12 cells:" in seen.text
    assert seen.text.count("and 9 more: ") == 1  # one line for all that have the same reason
