"""Small sources in the layout of every converter, written the way their own tools write them."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet

QUERIES = {
    "q1": "怎样除去水壶里的水垢？",
    "q2": "How do I descale a kettle?",
    "q3": "面包为什么会发霉？",
    "q4": "How long does rice keep?",
}
CORPUS = {
    "d1": "在水壶里倒入白醋和水，煮沸后静置半小时，“水垢”就会脱落。",
    "d2": "Boil equal parts of vinegar and water, wait half an hour, rinse.",
    "d3": "面包受潮后霉菌会很快生长；请放在干燥、通风的地方。",
    "d4": "Cooked rice keeps for about four days in a closed box in the fridge.",
    "d5": "Iron a shirt while it is still damp.",
}
JUDGED = {"q1": {"d1": 2, "d2": 1}, "q2": {"d2": 2}, "q3": {"d3": 1, "d5": 0}, "q4": {"d4": 1}}
SPLITS = {"train": ["q1", "q2"], "dev": ["q3"], "test": ["q4"]}

Sample = tuple[object, dict[str, Any]]
LAYOUTS: dict[str, Callable[[Path], Sample]] = {}


def layout(function: Callable[[Path], Sample]) -> Callable[[Path], Sample]:
    LAYOUTS[function.__name__.replace("_", "-")] = function
    return function


def save(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def save_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    return save(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def save_parquet(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    return path


def save_csv(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return path


@layout
def docstrings(folder: Path) -> Sample:
    words = [f"{first}{second}" for first in "abcdefghijkl" for second in ("lpha", "ravo", "elta", "cho", "amma")]
    for number, word in enumerate(words):
        body = " ".join(f"{word}{(number * step) % 97} explains part {step}." for step in range(1, 14))
        save(folder / f"{word}.py", f'"""{word} does one thing well.\n\n{body}\n"""\n')
    return folder, {"documents": 50, "seed": 3}


@layout
def beir(folder: Path) -> Sample:
    save_lines(folder / "corpus.jsonl", ({"_id": i, "title": "", "text": t, "metadata": {}} for i, t in CORPUS.items()))
    save_lines(folder / "queries.jsonl", ({"_id": i, "text": t} for i, t in QUERIES.items()))
    for split, query_ids in SPLITS.items():
        rows = [f"{q}\t{d}\t{grade}\n" for q in query_ids for d, grade in JUDGED[q].items()]
        save(folder / "qrels" / f"{split}.tsv", "query-id\tcorpus-id\tscore\n" + "".join(rows))
    return folder, {}


MTEB_README = """---
language: [zh, en]
configs:
- config_name: corpus
  data_files:
  - split: corpus
    path: corpus/corpus-*.parquet
- config_name: queries
  data_files:
  - split: queries
    path: queries.jsonl
- config_name: default
  data_files:
  - split: train
    path: qrels/train.jsonl
  - split: validation
    path: [qrels/validation.jsonl]
  - split: test
    path: qrels/test.jsonl
---
# Household
"""


@layout
def mteb(folder: Path) -> Sample:
    save(folder / "README.md", MTEB_README)
    documents = [{"_id": i, "title": "", "text": t} for i, t in CORPUS.items()]
    save_parquet(folder / "corpus" / "corpus-00000-of-00002.parquet", documents[:3])
    save_parquet(folder / "corpus" / "corpus-00001-of-00002.parquet", documents[3:])
    save_lines(folder / "queries.jsonl", ({"_id": i, "text": t} for i, t in QUERIES.items()))
    for split, query_ids in SPLITS.items():
        rows = [{"query-id": q, "corpus-id": d, "score": g} for q in query_ids for d, g in JUDGED[q].items()]
        save_lines(folder / "qrels" / f"{split.replace('dev', 'validation')}.jsonl", rows)
    return folder, {}


@layout
def infgrad(folder: Path) -> Sample:
    triples = [("q1", "d1", "d5"), ("q2", "d2", "d4"), ("q1", "d2", "d3"), ("q3", "d3", "d5"), ("q4", "d4", "d5")]
    rows = [
        {"Query": QUERIES[q], "Positive Document": CORPUS[p], "Hard Negative Document": CORPUS[n]}
        for q, p, n in triples
    ]
    save_lines(folder / "data.jsonl", rows)
    return folder, {"val_fraction": 0.25}


@layout
def airbench(folder: Path) -> Sample:
    task = folder / "qa_household_zh"
    default = task / "AIR-Bench_24.05" / "default"
    save_lines(default / "corpus.jsonl", ({"id": i, "text": t} for i, t in CORPUS.items()))
    save_lines(default / "dev_queries.jsonl", ({"id": i, "text": t} for i, t in QUERIES.items()))
    qrels = folder / "qrels-qa_household_zh-dev"
    save(
        qrels / "README.md",
        "---\nconfigs:\n- config_name: AIR-Bench_24.05\n  data_files:\n  - split: qrels_default_dev\n"
        "    path: AIR-Bench_24.05/default/qrels_dev.jsonl\n---\n",
    )
    rows = [{"qid": q, "docid": d, "relevance": int(g > 0)} for q, judged in JUDGED.items() for d, g in judged.items()]
    save_lines(qrels / "AIR-Bench_24.05" / "default" / "qrels_dev.jsonl", rows)
    return task, {}


@layout
def squad(folder: Path) -> Sample:
    for split, query_ids in SPLITS.items():
        paragraphs = []
        for query_id in query_ids:
            context = CORPUS[max(JUDGED[query_id], key=JUDGED[query_id].__getitem__)]
            answers = [{"text": context[2:6], "answer_start": 2}]
            question = {"id": query_id, "question": QUERIES[query_id], "answers": answers}
            paragraphs.append({"id": f"P_{query_id}", "context": context, "qas": [question]})
        article = {"title": "家务", "id": "A", "paragraphs": paragraphs}
        save(folder / f"cmrc2018_{split}.json", json.dumps({"version": "v1.0", "data": [article]}, ensure_ascii=False))
    return folder, {}


@layout
def flagembedding(folder: Path) -> Sample:
    rows = [
        {
            "query": QUERIES["q1"],
            "pos": [CORPUS["d1"], CORPUS["d2"]],
            "neg": [CORPUS["d4"], CORPUS["d5"]],
            "pos_scores": [0.9, 0.5],
            "neg_scores": [0.1, 0],
            "prompt": "为这个句子生成表示以用于检索相关文章：",
        },
        {"query": QUERIES["q2"], "pos": [CORPUS["d2"]], "neg": []},
    ]
    save_lines(folder / "train.jsonl", rows)
    save_lines(folder / "val.jsonl", [{"query": QUERIES["q3"], "pos": [CORPUS["d3"]], "neg": [CORPUS["d1"]]}])
    return folder, {}


@layout
def sentence_transformers(folder: Path) -> Sample:
    row = {"anchor": QUERIES["q1"], "positive": CORPUS["d1"], "negative_1": CORPUS["d3"], "negative_2": CORPUS["d5"]}
    save_parquet(folder / "train-00000-of-00001.parquet", [row])
    pairs = [{"question": QUERIES["q2"], "answer": CORPUS["d2"]}, {"question": QUERIES["q3"], "answer": CORPUS["d3"]}]
    save_csv(folder / "dev.csv", pairs)
    save_lines(folder / "test.jsonl", [{"sentence1": QUERIES["q4"], "sentence2": CORPUS["d4"], "score": 0.9}])
    return folder, {}


@layout
def llamaindex(folder: Path) -> Sample:
    for split in ("train", "val"):
        ids = SPLITS[split.replace("val", "dev")]
        content = {
            "queries": {q: QUERIES[q] for q in ids},
            "corpus": CORPUS,
            "relevant_docs": {q: [d for d, grade in JUDGED[q].items() if grade] for q in ids},
            "mode": "text",
        }
        save(folder / f"{split}_dataset.json", json.dumps(content, ensure_ascii=False))
    return folder, {}


@layout
def trec(folder: Path) -> Sample:
    save(folder / "docs.tsv", "".join(f"{i}\t{t}\n" for i, t in CORPUS.items()))
    topics = [
        f"<top>\n<num> Number: {i}\n<title> {t}\n<desc> Description:\nMore.\n</top>\n" for i, t in QUERIES.items()
    ]
    save(folder / "topics.txt", "\n".join(topics))
    for split, query_ids in SPLITS.items():
        rows = [f"{q} 0 {d} {grade}\n" for q in query_ids for d, grade in JUDGED[q].items()]
        save(folder / f"qrels.{split}.txt", "".join(rows))
    return folder, {}


@layout
def pairs(folder: Path) -> Sample:
    rows = [
        {"问题": QUERIES[q], "文档": CORPUS[d], "评分": grade, "集合": split}
        for split, query_ids in SPLITS.items()
        for q in query_ids
        for d, grade in JUDGED[q].items()
    ]
    columns = {"query_column": "问题", "document_column": "文档", "grade_column": "评分", "split_column": "集合"}
    return save_csv(folder / "faq.csv", rows), columns


@layout
def embedtune(folder: Path) -> Sample:
    fields = {"queries": QUERIES, "corpus": CORPUS, "relevant_docs": JUDGED, "queries_split": SPLITS, "note": "extra"}
    return save(folder / "own.json", json.dumps(fields, ensure_ascii=False)), {}


def save_pdf(path: Path, pages: list[list[str]]) -> Path:
    """Writes a PDF as a word processor does: glyph numbers, and a map from them to Unicode."""
    glyphs = {c: number for number, c in enumerate(sorted({c for page in pages for line in page for c in line}), 1)}
    mapped = "".join(f"<{number:04x}> <{c.encode('utf-16-be').hex()}>\n" for c, number in glyphs.items())
    to_unicode = (
        "/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /X def /CMapType 2 def\n"
        "1 begincodespacerange <0000> <ffff> endcodespacerange\n"
        f"{len(glyphs)} beginbfchar\n{mapped}endbfchar\nendcmap end end"
    )
    kids = " ".join(f"{5 + 2 * i} 0 R" for i in range(len(pages)))
    font = "<< /Type /Font /Subtype /Type0 /BaseFont /F /Encoding /Identity-H /ToUnicode 4 0 R /DescendantFonts "
    font += "[<< /Type /Font /Subtype /CIDFontType2 /BaseFont /F /CIDSystemInfo "
    font += "<< /Registry (Adobe) /Ordering (Identity) /Supplement 0 >> /DW 1000 >>] >>"
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>",
        font,
        f"<< /Length {len(to_unicode)} >>\nstream\n{to_unicode}\nendstream",
    ]
    for i, lines in enumerate(pages):
        shown = "".join(f"<{''.join(f'{glyphs[c]:04x}' for c in line)}> Tj 0 -20 Td\n" for line in lines)
        content = f"BT /F1 12 Tf 50 780 Td\n{shown}ET"
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents {6 + 2 * i} 0 R "
            "/Resources << /Font << /F1 3 0 R >> >> >>"
        )
        objects.append(f"<< /Length {len(content)} >>\nstream\n{content}\nendstream")
    body, offsets = b"%PDF-1.7\n", []
    for number, text in enumerate(objects, start=1):
        offsets.append(len(body))
        body += f"{number} 0 obj\n{text}\nendobj\n".encode()
    table = "".join(f"{offset:010d} 00000 n \n" for offset in offsets)
    size = len(objects) + 1
    body += f"xref\n0 {size}\n0000000000 65535 f \n{table}trailer\n<< /Size {size} /Root 1 0 R >>\n".encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body + f"startxref\n{body.rindex(b'xref')}\n%%EOF\n".encode())
    return path


def save_docx(path: Path) -> Path:
    from docx import Document

    document = Document()
    document.add_heading("厨房 Kitchen", 1)
    document.add_paragraph(CORPUS["d3"])
    document.add_heading("冰箱", 2)
    table = document.add_table(rows=2, cols=2)
    for row, texts in zip(table.rows, (("食物", "天数"), ("米饭", "4")), strict=True):
        for cell, text in zip(row.cells, texts, strict=True):
            cell.text = text
    path.parent.mkdir(parents=True, exist_ok=True)
    document.save(str(path))
    return path


MARKDOWN = f"""# 水壶 Kettle

## 除垢

{CORPUS["d1"]}

```python
# not a heading
```

Rinsing
-------
{CORPUS["d2"]}
"""
HTML = f"""<!doctype html><html><head><title>T</title><style>p {{}}</style></head><body><nav>menu</nav>
<h1>家务</h1><p>{CORPUS["d3"][:9]}<b>{CORPUS["d3"][9:]}</b></p><script>alert("run")</script>
<h2>Rice &amp; more</h2><p>{CORPUS["d4"]}<br>New   line</p><ul><li>one<li>two</ul><pre>a
  b</pre><table><tr><td>x</td><td>y</td></tr></table></body></html>"""


@layout
def documents(folder: Path) -> Sample:
    save(folder / "说明" / "kettle.md", MARKDOWN)
    save(folder / "shirt.txt", CORPUS["d5"] + "\r\n")
    save(folder / "page.htm", HTML)
    save_docx(folder / "kitchen.docx")
    save_pdf(
        folder / "rice.pdf",
        [["Cooked rice keeps for about four", "days in a closed box.", "面包受潮后霉", "菌会生长。"]],
    )
    save_lines(folder / "faq.jsonl", [{"id": "水", "title": "Kettle", "text": CORPUS["d1"]}, {"text": CORPUS["d2"]}])
    save(folder / "notes.xyz", "unknown")
    return folder, {}
