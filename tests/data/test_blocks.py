from __future__ import annotations

import pyarrow as pa
import pytest
from pyarrow.parquet import ParquetFile

from embedtune.data.blocks import plan_blocks, read_block
from embedtune.data.dataset import RetrievalDataset
from embedtune.data.parquet_table import ParquetTable
from embedtune.data.table_texts import TableTexts
from embedtune.errors import DataError


def table(folder, groups):
    path = folder / "corpus.parquet"
    schema = pa.schema([("id", pa.string()), ("text", pa.string())])
    with ParquetTable.writer(path, schema) as writer:
        for ids in groups:
            writer.write_table(pa.table([ids, [f"第{one}篇" for one in ids]], schema=schema))
    return TableTexts(ParquetTable, path)


@pytest.mark.parametrize(("most", "sizes"), [(1, [3, 1, 5, 2]), (4, [4, 5, 2]), (7, [4, 7]), (100, [11])])
def test_blocks_are_whole_groups_in_order_without_loss(tmp_path, most, sizes):
    corpus = table(tmp_path, [list("abc"), list("d"), list("efghi"), list("jk")])
    blocks = plan_blocks(corpus, most)
    assert [block.documents for block in blocks] == sizes
    assert [block.number for block in blocks] == list(range(len(blocks)))
    assert [block.first_row for block in blocks] == [sum(sizes[:number]) for number in range(len(sizes))]
    read = [read_block(corpus, block) for block in blocks]
    assert [item for part in read for item in part.items()] == list(corpus.items())


def test_no_documents_make_no_blocks(tmp_path):
    assert plan_blocks(table(tmp_path, []), 5) == []
    assert plan_blocks(table(tmp_path, [[]]), 5) == []


def test_a_damaged_block_is_named_and_the_others_can_be_read(tmp_path):
    corpus = {f"文档{number}": "字" * 3000 + str(number) for number in range(300)}
    RetrievalDataset({"q": "?"}, corpus, {"q": ["文档1"]}).write(tmp_path / "d")
    file = tmp_path / "d" / "corpus.parquet"
    content = bytearray(file.read_bytes())
    start = ParquetFile(file).metadata.row_group(1).column(1).data_page_offset
    content[start + 50 : start + 100] = bytes(50)
    file.write_bytes(content)
    texts = TableTexts(ParquetTable, file)
    readable, faults = 0, []
    for block in plan_blocks(texts, 100):
        if block.first_group <= 1 < block.end_group:
            damaged = block
        try:
            readable += len(read_block(texts, block))
        except DataError as error:
            faults.append(str(error))
    assert readable == 200
    assert len(faults) == 1
    assert f"{damaged} can't be read: corpus.parquet can't be read as Parquet" in faults[0]


def test_an_id_that_comes_twice_is_refused(tmp_path):
    corpus = table(tmp_path, [list("aba")])
    with pytest.raises(DataError, match=r"block 0 \(documents 1 to 3\) holds 2 different ids"):
        read_block(corpus, *plan_blocks(corpus, 9))
