"""The page in headless Chromium: what it loads, says, sorts and filters."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.report.chromium import browser, chromium_path
from tests.report.made import content_of, every_part, made_dataset, random_evaluations
from tests.report.test_page import HOSTILE

from embedtune.report.page import write_report

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(chromium_path() is None, reason="no Chromium is installed: apt-get install chromium"),
]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The page of 60 queries with every part on it, and the explorer it was made from."""
    dataset = made_dataset(60, 90, 40)
    corpus = dict(dataset.corpus) | {"document-0": f"{HOSTILE} 高铁退票 {'long ' * 400}"}
    relevant = dict(dataset.relevant_docs) | {"query-0": ["document-0"]}
    dataset = replace(dataset, corpus=corpus, relevant_docs=relevant)
    content = content_of(dataset, random_evaluations(dataset, ["bm25", "base", "tuned"]))
    content = replace(content, **every_part("made"))
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_report(content, path)
    return path, content.explorer


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    with browser(tmp_path_factory.mktemp("profile")) as page:
        yield page


def shown(page, what="text"):
    return page.run(f"[...document.querySelectorAll('.list .row .{what}')].map((node) => node.textContent)")


def choose(page, name, value):
    page.run(f"{name}.value = '{value}'; {name}.dispatchEvent(new Event('change'))")


def gains(explorer, a, b):
    return {query.text: query.scores[b] - query.scores[a] for query in explorer.queries}


def test_it_loads_itself_and_nothing_else(made, page):
    page.events.clear()
    page.open(made[0])
    page.run("document.querySelector('.row').click()")
    page.run("new Promise((done) => setTimeout(done, 300))")
    assert page.complaints == []
    assert page.requested == [made[0].as_uri()]
    assert page.run("getComputedStyle(document.body).maxWidth") != "none", "the style is in force"


def test_sorting(made, page):
    path, explorer = made
    page.open(path)
    gain = gains(explorer, 0, 2)
    assert [gain[text] for text in shown(page)] == sorted(gain.values(), reverse=True)[:25]
    choose(page, "sort", "loss")
    assert [gain[text] for text in shown(page)] == sorted(gain.values())[:25]
    choose(page, "first", "1")
    gain = gains(explorer, 1, 2)
    assert [gain[text] for text in shown(page)] == sorted(gain.values())[:25]
    choose(page, "sort", "dataset")
    assert shown(page) == [query.text for query in explorer.queries[:25]]
    page.run("next.click()")
    assert shown(page) == [query.text for query in explorer.queries[25:50]]
    assert page.run("place.textContent") == "26–50"
    assert page.run("document.activeElement.className") == "row"


def test_filtering_by_text_and_cause(made, page):
    path, explorer = made
    page.open(path)
    page.run("filter.value = '退票'; filter.dispatchEvent(new Event('input'))")
    page.wait("count.textContent !== '60 of 60 queries'")
    holding = [
        query.text
        for query in explorer.queries
        if "document-0" in query.relevant or any("document-0" in query.rankings[system] for system in (0, 2))
    ]
    assert sorted(shown(page)) == sorted(holding)
    assert explorer.queries[0].text in holding
    page.run("filter.value = 'nowhere'; filter.dispatchEvent(new Event('input'))")
    page.wait("count.textContent === '0 of 60 queries'")
    page.run("filter.value = ''; filter.dispatchEvent(new Event('input'))")
    page.wait("count.textContent === '60 of 60 queries'")
    choose(page, "cause", "4")
    caused = [query.text for query in explorer.queries if "lexical" in query.causes[2]]
    assert caused
    assert page.run("count.textContent") == f"{len(caused)} of 60 queries"


def test_a_query_opened_by_keyboard(made, page):
    path, explorer = made
    page.open(path)
    choose(page, "sort", "dataset")
    page.press("/")
    assert page.run("document.activeElement.id") == "filter"
    page.run("document.querySelector('.row').focus()")
    page.press("ArrowDown")
    assert page.run("[...document.querySelectorAll('.row')].indexOf(document.activeElement)") == 1
    page.press("ArrowUp")
    page.press("Enter")
    assert page.run("document.querySelectorAll('[aria-expanded=true]').length") == 1
    columns = page.run(
        "[...document.querySelectorAll('.column')].map((column) => "
        "[...column.querySelectorAll('ol > .document')].map((item) => "
        "[item.querySelector('.id').textContent, item.classList.contains('is-relevant')]))"
    )
    query = explorer.queries[0]
    assert columns == [[[d, d in query.relevant] for d in query.rankings[system]] for system in (0, 2)]
    texts = page.run("[...document.querySelectorAll('.column .document .text')].map((node) => node.textContent)")
    assert any(text.startswith(HOSTILE) and len(text) == 600 for text in texts)
    page.press("Enter")
    assert page.run("document.querySelectorAll('.column').length") == 0


@pytest.mark.parametrize(("width", "dark"), [(390, False), (1280, True)])
def test_both_languages_at_any_width(made, page, width, dark):
    page.open(made[0], width=width, dark=dark, language="zh-CN")
    visible = "document.body.innerText"
    assert "各系统" in page.run(visible)
    assert "Quality against cost" not in page.run(visible)
    assert page.run("document.documentElement.lang") == "zh-Hans"
    assert page.run("sort.options[0].textContent") == "B 提升最多"
    page.run("document.querySelector('[data-choose=en]').click()")
    assert "各系统" not in page.run(visible)
    assert page.run("sort.options[0].textContent") == "B gains most"
    assert page.run("document.documentElement.scrollWidth <= window.innerWidth"), "nothing sticks out"
    red, green, blue = map(int, page.run("getComputedStyle(document.body).backgroundColor").strip("rgb()").split(","))
    assert (red + green + blue < 3 * 60) == dark
    page.run("localStorage.clear()")
