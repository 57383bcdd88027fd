"""The words of a model card, in English and in Chinese."""

from __future__ import annotations

from typing import Literal, NamedTuple

__all__ = ["CARD_WORDS", "SIMILARITIES", "CardLanguage", "CardWords"]

CardLanguage = Literal["en", "zh"]


class CardWords(NamedTuple):
    """Headings, sentences with places to fill, and the heads of tables."""

    made: str
    base: str
    method: str
    data: str
    data_fields: str
    val: str
    options: str
    results: str
    domain: str
    guard: str
    result_head: str
    when_made: str
    verdict: str
    unmeasured: str
    no_guard: str
    better: str
    worse: str
    unclear: str
    limits: str
    reads: str
    similarity: str
    moved: str
    nothing_better: str
    license: str
    no_license: str
    use: str
    reproduce: str


CARD_WORDS: dict[CardLanguage, CardWords] = {
    "en": CardWords(
        made="A text-embedding model for retrieval, adapted with embedtune.",
        base="Base",
        method="Method",
        data="Data",
        data_fields="{dataset}, SHA-256 `{sha256}`; trained on the split {split}, {examples} examples",
        val="{measure} on val, which chose the checkpoint: base {base}, this model {tuned}",
        options="Options",
        results="What it retrieves",
        domain="Own domain",
        guard="Guard",
        result_head="| | dataset | queries | base | this model | difference | 95 % interval | p |",
        when_made="Measured on val when it was made:",
        verdict="The gate's verdict: base → this model, the difference, and in brackets its 95 % interval (for guards "
        "the two one-sided 95 % bounds):",
        unmeasured="No evaluation was given, so nothing is claimed here about a test split.",
        no_guard="No guard collection was given: whether it retrieves worse elsewhere isn't known.",
        better="better than the base",
        worse="worse than the base",
        unclear="no difference shown, which isn't proof of equality",
        limits="Limits",
        reads="It reads {tokens} tokens of a text; what follows is ignored.",
        similarity="Compare vectors by {similarity}; they have {dim} dimensions.",
        moved="{moved} documents have vectors of their own in `document_vectors/`; publish these, not plain ones.",
        nothing_better="No checkpoint was better on val than the base, so this is the base.",
        license="Licence",
        no_license="No licence was named; the base model's may bind you.",
        use="Use",
        reproduce="How it was made",
    ),
    "zh": CardWords(
        made="用 embedtune 针对特定语料微调的文本检索向量模型。",
        base="基础模型",
        method="方法",
        data="数据",
        data_fields="{dataset}，SHA-256 `{sha256}`；在 {split} 划分上训练，共 {examples} 个样本",
        val="用来挑选检查点的 val 划分上的 {measure}：基础模型 {base}，本模型 {tuned}",
        options="参数",
        results="检索效果",
        domain="目标领域",
        guard="对照集",
        result_head="| | 数据集 | 查询数 | 基础模型 | 本模型 | 差值 | 95 % 置信区间 | p |",
        when_made="制作时在 val 划分上测得：",
        verdict="门禁的判定：基础模型 → 本模型、差值，括号内为 95 % 置信区间（对照集为两个单侧 95 % 界限）：",
        unmeasured="没有给出评测结果，因此这里不对测试集上的效果作任何断言。",
        no_guard="没有给出对照集：它在其他领域是否变差，尚不清楚。",
        better="优于基础模型",
        worse="不如基础模型",
        unclear="未显示出差异，但这不等于证明两者相同",
        limits="局限",
        reads="每段文本只读前 {tokens} 个词元，其后的内容会被忽略。",
        similarity="向量为 {dim} 维，请用{similarity}比较。",
        moved="`document_vectors/` 里有 {moved} 篇文档自己的向量；入库时请用这些向量，而不是重新编码得到的向量。",
        nothing_better="val 划分上没有比基础模型更好的检查点，因此这就是基础模型。",
        license="许可证",
        no_license="没有注明许可证；基础模型的许可证可能对你有约束力。",
        use="用法",
        reproduce="制作记录",
    ),
}
SIMILARITIES: dict[CardLanguage, dict[bool, str]] = {
    "en": {True: "cosine", False: "inner product"},
    "zh": {True: "余弦相似度", False: "内积"},
}
