"""A corpus of damaged replies, built by rule: every damage, on every pair, in English and Chinese."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import NamedTuple

Pair = dict[str, str]

ENGLISH = [
    ("How do I get wax out of a carpet?", "Cool it with ice, then lift it off with a blunt knife."),
    ('What does "seasoning" a pan mean?', 'Baking oil on, so that a film forms; cooks say it "takes".'),
    ("query: best way to store {paper, ink}", "Flat, dry, dark: in a box [acid-free], not in a folder."),
    ("Why did my bread sink in the middle?", "It rose too long; C:\\temp isn't to blame, steam is.\nBake it sooner."),
    ("answer to a squeaky hinge", "A drop of oil, or graphite from a pencil: both work, {either} lasts a year."),
    ("pan 28 cm, induction", "Its base must hold a magnet."),
]
CHINESE = [
    ("地毯上的蜡怎么去掉？", "先用冰块冻硬，再用钝刀刮掉。"),
    ("“开锅”是什么意思？", "把油烤在锅面上，形成一层膜，俗称“养锅”。"),
    ("query：纸张{旧书}怎么保存", "平放、干燥、避光，放进[无酸]纸盒：不要卷起来。"),
    ("面包中间为什么塌了？", '发酵太久，师傅说："早点烤"。\n下次少发十分钟。'),
    ("answer 门轴吱呀响", "滴一滴油，或者用铅笔芯抹一抹，能管一年。"),
    ("28厘米 电磁炉 平底锅", "锅底要能吸住磁铁。"),
]


class Damaged(NamedTuple):
    """A reply, what was done to it, and the pairs in it that are whole."""

    damage: str
    text: str
    intact: list[Pair]
    pairs: list[Pair]


def corpus(seed: int = 7) -> Iterator[Damaged]:
    chance = random.Random(seed)
    for texts in (ENGLISH, CHINESE):
        for count in (1, 2, 3, 5):
            for indent in (None, 1):
                chosen = chance.sample(texts, count)
                pairs = [{"kind": "question", "query": query, "answer": answer} for query, answer in chosen]
                yield from _around(pairs, indent)
                yield from _inside(pairs, indent)
                yield from _cut(pairs, indent, chance)


def _written(pairs: list[Pair], indent: int | None) -> str:
    return json.dumps({"queries": pairs}, ensure_ascii=False, indent=indent)


def _around(pairs: list[Pair], indent: int | None) -> Iterator[Damaged]:
    """Damages outside of the pairs: every pair is whole."""
    whole = _written(pairs, indent)
    rows = [json.dumps(pair, ensure_ascii=False) for pair in pairs]
    texts = {
        "as it should be": whole,
        "fence": f"```json\n{whole}\n```",
        "fence left open": f"```\n{whole}",
        "prose around": f"Sure! Here are {len(pairs)} [as asked]:\n\n{whole}\n\nLet me know {{if}} you want more.",
        "prose in Chinese": f"好的，以下是查询：\n{whole}\n希望对你有帮助！",
        "thoughts": f'<think>Maybe {{"queries": [{{"query": "draft", "answer": "draft"}}]}} … no.</think>{whole}',
        "thoughts without a beginning": f"first I look at the text</think>\n{whole}",
        "byte order mark": f"\ufeff{whole}",
        "no last bracket": whole.rstrip()[:-1],
        "no last brackets": whole.rstrip().rstrip("}").rstrip().rstrip("]"),
        "no first bracket": whole.lstrip()[1:],
        "one bracket too many": f"{whole}}}",
        "double brackets": whole.replace("{", "{{", 1) + "}",
        "a list": f"[{', '.join(rows)}]",
        "another name": json.dumps({"questions": pairs}, ensure_ascii=False, indent=indent),
        "one level too deep": json.dumps({"result": {"data": {"items": pairs}}}, ensure_ascii=False),
        "a name for each": json.dumps({f"q{n}": pair for n, pair in enumerate(pairs)}, ensure_ascii=False),
        "JSON lines": "\n".join(rows),
        "numbered": "\n".join(f"{n}. {row}" for n, row in enumerate(rows, start=1)),
        "no commas between": '{"queries": [' + "\n".join(rows) + "]}",
        "wide commas between": '{"queries": [' + "，".join(rows) + "]}",
        "comma after the last": '{"queries": [' + ",".join(rows) + ",]}",
        "comments": '{"queries": [ // the queries\n' + ",\n# next\n".join(rows) + "]}",
        "no quote around the name": "{queries: [" + ", ".join(rows) + "]}",
        "dots at the end": '{"queries": [' + ", ".join(rows) + ", ...",
        "said twice": f"Draft:\n{whole}\nFinal:\n{whole}",
    }
    for damage, text in texts.items():
        yield Damaged(damage, text, pairs, pairs)


def _inside(pairs: list[Pair], indent: int | None) -> Iterator[Damaged]:
    """Damages of one pair; the others are whole."""
    for hit, pair in enumerate(pairs):
        row = json.dumps(pair, ensure_ascii=False)
        rows = {
            "no quote after the query": row.replace('", "answer"', ', "answer"'),
            "no quote before the query": row.replace('"query": "', '"query": '),
            "no quote after the answer": row[:-2] + "}",
            "no quote before the answer": row.replace('"answer": "', '"answer": '),
            "no quote around a name": row.replace('"query":', "query:"),
            "half a name": row.replace('"answer":', '"ans'),
            "no colon": row.replace('"answer": ', '"answer" '),
            "no comma": row.replace('", "answer"', '" "answer"'),
            "no closing bracket": row[:-1],
            "no opening bracket": row[1:],
            "comma at the end": row[:-1] + ",}",
            "no answer": json.dumps({"kind": "question", "query": pair["query"]}, ensure_ascii=False),
            "empty answer": json.dumps(pair | {"answer": " "}, ensure_ascii=False),
            "null": row[: row.index('"answer"')] + '"answer": null}',
            "a number": json.dumps(pair | {"query": 7}, ensure_ascii=False),
            "quotes not escaped": row.replace('\\"', '"'),
            "line break not escaped": row.replace("\\n", "\n"),
            "backslash not escaped": row.replace("\\\\", "\\"),
            "single quotes": str(pair),
            "wide quotes": row.replace('": "', "”：“").replace('", "', "”，“").replace('{"', "{“").replace('"}', "”}"),
            "a line of prose": "and so on",
        }
        rest = [other for other in pairs if other is not pair]
        gap = ", " if indent is None else ",\n  "
        for damage, damaged in rows.items():
            if damaged != row:
                listed = [json.dumps(other, ensure_ascii=False) for other in pairs]
                listed[hit] = damaged
                yield Damaged(damage, '{"queries": [' + gap.join(listed) + "]}", rest, pairs)


def _cut(pairs: list[Pair], indent: int | None, chance: random.Random) -> Iterator[Damaged]:
    """Replies that end too early, at many places."""
    whole = _written(pairs, indent)
    ends = []
    position = whole.index("[")
    for pair in pairs:
        _, position = json.JSONDecoder().raw_decode(whole, whole.index("{", position))
        ends.append((position, pair))
    for end in sorted(chance.sample(range(len(whole)), min(12, len(whole)))):
        yield Damaged("cut off", whole[:end], [pair for place, pair in ends if place <= end], pairs)
