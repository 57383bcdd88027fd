from __future__ import annotations

import pytest

from embedtune.data.converters.docstrings import DocstringOptions, convert
from embedtune.errors import DataError

LONG = "It explains at length what the thing does, which values it takes, and what comes back when all goes well. "


def write(folder, name, text):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def source_of(number, summary="Return the value number {n} of it.", detail=""):
    facts = " ".join(f"fact{number}x{i} differs" for i in range(20))
    return f'def f{number}():\n    """{summary.format(n=number)}\n\n    {LONG}{facts}{detail}\n    """\n'


@pytest.fixture
def package(tmp_path):
    for number in range(60):
        write(tmp_path, f"pack/module{number}.py", source_of(number))
    return tmp_path


def test_summary_is_the_query_and_the_rest_the_document(package):
    dataset = convert(package, DocstringOptions(documents=50))
    query_id = next(iter(dataset.queries))
    number = query_id.rsplit("f", 1)[1]
    assert query_id == f"pack.module{number}.f{number}"
    assert dataset.queries[query_id] == f"Return the value number {number} of it."
    assert dataset.corpus[query_id].startswith("It explains at length")
    assert dataset.queries[query_id] not in dataset.corpus[query_id]
    assert {split: len(ids) for split, ids in dataset.queries_split.items()} == {"train": 30, "val": 8, "test": 12}


def test_skips_tests_short_texts_broken_files_and_repeats(package):
    write(package, "pack/tests/test_it.py", source_of(900))
    write(package, "pack/test_more.py", source_of(901))
    write(package, "pack/short.py", 'def f902():\n    """Return almost nothing.\n\n    Short.\n    """\n')
    write(package, "pack/broken.py", "def (:\n")
    write(package, "pack/latin.py", "# \xe9")
    (package / "pack" / "bytes.py").write_bytes(b'"""\xff\xfe"""')
    write(package, "pack/copy.py", source_of(5).replace("f5()", "copy()"))
    write(package, "pack/almost.py", source_of(6, detail=" And more.").replace("f6()", "almost()"))
    write(package, "pack/same_summary.py", source_of(903, summary="Return the value number 7 of it."))
    with pytest.raises(DataError, match="found 60 usable docstrings, expected 500"):
        convert(package, DocstringOptions(documents=500))


def test_nothing_is_executed(package):
    write(package, "pack/danger.py", "raise SystemExit('executed')\n")
    assert convert(package, DocstringOptions(documents=50))


def test_packages_can_be_chosen(package):
    for number in range(100, 155):
        write(package, f"other/module{number}.py", source_of(number))
    dataset = convert(package, DocstringOptions(documents=50, packages=("other",)))
    assert all(document_id.startswith("other.") for document_id in dataset.corpus)
    with pytest.raises(DataError, match="no installed package is called numpi"):
        convert(package, DocstringOptions(packages=("numpi",)))


def test_reads_the_standard_library():
    dataset = convert(None, DocstringOptions(documents=60, packages=("json", "asyncio", "email", "http", "logging")))
    assert len(dataset.corpus) == 60
    assert any(document_id.startswith("asyncio.") for document_id in dataset.corpus)
