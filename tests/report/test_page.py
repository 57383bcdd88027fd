from __future__ import annotations

import base64
import gzip
import json
import re
import string
from dataclasses import replace
from pathlib import Path

import pytest
from tests.report.made import Checked, content_of, every_part, made_dataset, random_evaluations

import embedtune.report
from embedtune.data.checks import finding
from embedtune.data.dataset import RetrievalDataset
from embedtune.evaluate.causes import CAUSES
from embedtune.evaluate.comparison import compare
from embedtune.mine.report import RULES
from embedtune.report.catalogue import catalogue, say
from embedtune.report.content import SystemCosts
from embedtune.report.options import PageOptions
from embedtune.report.page import render_report, write_report

HOSTILE = "</script></style></title><script>alert(1)</script><img src=x onerror=alert(2)>\"'`&amp;{{7*7}}"
SOURCE = Path(embedtune.report.__file__).parent


@pytest.fixture(scope="module")
def hostile():
    """A page with markup and scripts wherever text can stand."""
    queries = {f"{HOSTILE}{number}": f"{HOSTILE} query" for number in range(4)}
    corpus = {f"{HOSTILE}{number}": f"{HOSTILE} document {number}" for number in range(5)}
    dataset = RetrievalDataset(queries, corpus, {query_id: [f"{HOSTILE}0"] for query_id in queries})
    content = replace(content_of(dataset, random_evaluations(dataset, ["base", HOSTILE])), **every_part(HOSTILE))
    costs = [SystemCosts(1, 2, 3, 4), SystemCosts(5, 6, 7, 8)]
    systems = [replace(s, costs=c, made_by=HOSTILE) for s, c in zip(content.systems, costs, strict=True)]
    return render_report(replace(content, systems=systems))


def unpacked(page):
    data = re.search(r'id="data">([^<]*)<', page).group(1)
    return json.loads(gzip.decompress(base64.b64decode(data)))


def test_text_is_never_markup(hostile):
    parsed = Checked(hostile)
    scripts = [element for element in parsed.elements if element.tag == "script"]
    assert [script.attributes.get("type") for script in scripts] == ["application/json", "text/plain", None]
    assert "alert(1)" not in parsed.text_in("script")
    assert not {"img", "iframe", "object", "link", "base", "form action"} & {e.tag for e in parsed.elements}
    assert not [name for e in parsed.elements for name in e.attributes if name.startswith("on") or name == "style"]
    for place in ("h1", "title", "th", "li", "text", "span", "p", "dt", "strong"):
        assert HOSTILE in parsed.text_in(place), place
    packed = unpacked(hostile)
    assert packed["queries"][0][1] == f"{HOSTILE} query"
    assert f"{HOSTILE} document 0" in packed["texts"]


def test_only_its_own_style_and_script_take_effect(hostile):
    parsed = Checked(hostile)
    policy = next(e.attributes["content"] for e in parsed.elements if e.attributes.get("http-equiv"))
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    urls = [v for e in parsed.elements for k, v in e.attributes.items() if k in ("src", "href", "action", "srcset")]
    assert urls
    assert all(url.startswith("#") for url in urls)
    assert "url(" not in (SOURCE / "templates" / "report.css").read_text(encoding="utf-8")
    for word in ("innerHTML", "insertAdjacentHTML", "document.write", "eval(", "fetch(", "XMLHttpRequest", "http"):
        assert word not in (SOURCE / "templates" / "report.js").read_text(encoding="utf-8")


def test_ids_are_unique_and_links_lead_somewhere(hostile):
    elements = Checked(hostile).elements
    ids = [element.attributes["id"] for element in elements if "id" in element.attributes]
    assert len(ids) == len(set(ids))
    links = [element.attributes["href"][1:] for element in elements if element.tag == "a"]
    assert links == ["systems", "costs", "training", "guards", "dataset", "mining", "queries"]
    assert set(links) <= set(ids)


def test_parts_without_data_are_left_out():
    dataset = made_dataset(5, 9, 9)
    page = render_report(replace(content_of(dataset, random_evaluations(dataset, ["only"])), explorer=None))
    parsed = Checked(page)
    assert [e.attributes["id"] for e in parsed.elements if e.tag == "section"] == ["decision", "systems"]
    assert [e.attributes["href"] for e in parsed.elements if e.tag == "a"] == ["#systems"]
    assert "systems.against" not in page
    assert "only: measured, with nothing to compare it with" in page


def test_numbers_are_those_of_the_evaluations():
    dataset = made_dataset(60, 80, 9)
    evaluations = random_evaluations(dataset, ["bm25", "base", "tuned"])
    content = content_of(dataset, evaluations)
    page = render_report(content)
    cells = Checked(page).cells
    measures = evaluations["base"].scores.values
    assert len(cells) == 3 * (3 + len(measures))
    assert {(name, measure) for name, measure, _ in cells} == {(n, m) for n in evaluations for m in measures}
    for name, measure, shown in cells:
        assert shown == f"{evaluations[name].scores.mean(measure):.4f}"
    difference = compare(evaluations["bm25"], evaluations["tuned"]).main.mean
    assert f'data-difference="tuned">{difference:+.4f}<' in page
    packed = unpacked(page)
    assert packed["systems"] == ["bm25", "base", "tuned"]
    for row, (query_id, _, relevant, scores, ranked, _) in enumerate(packed["queries"]):
        for place, evaluation in enumerate(evaluations.values()):
            assert evaluation.scores.query_ids[row] == query_id
            assert scores[place] == round(float(evaluation.scores.values["ndcg_at_10"][row]), 4)
            assert [packed["ids"][d] for d in ranked[place]] == evaluation.run.document_ids(query_id)
        assert [packed["ids"][d] for d in relevant] == dataset.positives(query_id)


def test_a_page_stays_under_its_size():
    dataset = made_dataset(300, 400, 80)
    content = content_of(dataset, random_evaluations(dataset, ["base", "tuned"]))
    whole, small, tiny = (render_report(content, PageOptions(max_megabytes=size)) for size in (5, 0.12, 0.06))
    assert unpacked(whole)["characters"] == 600
    assert len(small) <= 120_000
    assert unpacked(small)["characters"] < 600
    assert len(unpacked(small)["queries"]) == 300
    assert len(tiny) <= 60_000
    assert unpacked(tiny)["all"] == 300
    kept = unpacked(tiny)["queries"]
    assert 10 < len(kept) < 300
    spread = [max(query.scores) - min(query.scores) for query in content.explorer.queries]
    assert min(abs(q[3][0] - q[3][1]) for q in kept) >= sorted(spread, reverse=True)[len(kept) - 1] - 1e-4


@pytest.mark.slow
def test_ten_thousand_queries_take_less_than_five_megabytes():
    dataset = made_dataset(10_000, 50_000, 150)
    content = content_of(dataset, random_evaluations(dataset, ["base", "tuned"]))
    page = render_report(content)
    packed = unpacked(page)
    assert len(page.encode()) < 5_000_000
    assert len(packed["queries"]) == 10_000


def test_a_page_is_written_whole_and_in_the_language_asked_for(tmp_path):
    dataset = made_dataset(5, 9, 9)
    content = content_of(dataset, random_evaluations(dataset, ["a", "b"]))
    write_report(content, tmp_path / "deep" / "report.html", PageOptions(language="zh"))
    page = (tmp_path / "deep" / "report.html").read_text(encoding="utf-8")
    assert '<html lang="zh-Hans" data-language="zh" data-fixed>' in page
    assert list((tmp_path / "deep").iterdir()) == [tmp_path / "deep" / "report.html"]


def test_both_languages_say_everything():
    english, chinese = catalogue("en"), catalogue("zh")
    assert list(english) == list(chinese)
    for key in english:
        assert places(english[key]) == places(chinese[key]), key
        assert english[key].strip()
        assert chinese[key].strip()
        assert "<" not in english[key] + chinese[key]
        assert not re.search("[\u4e00-\u9fff]", english[key]), key
    same = [key for key in english if english[key] == chinese[key]]
    assert same == ["source.bm25", "explorer.pages"]


def test_spaces_beside_names_and_the_minus_sign():
    assert say("decision.use", system="甲 乙", base="bge-small").zh == "改用甲 乙：优于 bge-small"
    assert say("decision.use", system="甲 乙", base="bge-small").en == "Use 甲 乙: it is better than bge-small"
    assert say("reason.level", measure="a-b", mean=-0.5, low=-1, high=1).en.startswith("a-b is −0.5000 (95")


def places(text):
    return sorted(name for _, name, _, _ in string.Formatter().parse(text) if name is not None)


def test_every_word_that_is_asked_for_is_there():
    sources = [p.read_text(encoding="utf-8") for p in SOURCE.rglob("*") if p.suffix in (".py", ".jinja", ".js")]
    asked = {key for text in sources for key in re.findall(r'(?:\bt|say)\("([a-z_.]+[a-z])"', text)}
    assert len(asked) > 60
    assert asked <= set(catalogue("en"))
    for cause in CAUSES:
        assert f"cause.{cause}" in catalogue("en")
        assert f"cause.{cause}.long" in catalogue("en")
    for rule in RULES:
        assert f"dropped.{rule}" in catalogue("en")


def test_every_check_has_a_name():
    folder = Path(finding.__file__).parent
    text = "\n".join(path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.py")))
    codes = set(re.findall(r'"((?:[a-z]+-)+[a-z]+)"', text)) | {"markup", "languages"}
    codes = {code.replace("{noun}", "documents") for code in codes}
    named = {key.removeprefix("check.") for key in catalogue("en") if key.startswith("check.")}
    assert codes - named <= {"nomic-embed-text", "mxbai-embed-large"}, "names of encoders"
    assert {"documents-over-limit", "queries-over-limit"} <= named
