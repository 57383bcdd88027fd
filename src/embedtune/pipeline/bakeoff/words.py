"""What a bake-off says, in English and in Chinese."""

from __future__ import annotations

from embedtune.report.catalogue import filled
from embedtune.report.content import Words

__all__ = ["say"]

_WORDS: dict[str, tuple[str, str]] = {
    "use.base": ("Keep the base model", "保留原模型"),
    "use.bm25": ("Use BM25 search; no model is needed", "使用 BM25 检索，不需要模型"),
    "use.hybrid": (
        "Use hybrid search: the base model's ranking fused with BM25's",
        "使用混合检索：把原模型与 BM25 的排序融合",
    ),
    "use.adapter": (
        "Use the adapter: queries are mapped, model and index stay as they are",
        "使用适配器：只映射查询向量，模型和索引都不动",
    ),
    "use.nudge": (
        "Use NUDGE: document vectors are moved, the model stays as it is",
        "使用 NUDGE：移动文档向量，模型不动",
    ),
    "use.rerank": (
        "Use reranking: the cross-encoder orders what the base model finds",
        "使用重排序：由交叉编码器重排原模型找到的文档",
    ),
    "use.merged": (
        "Replace the model by the mixture of the base and the tuned one",
        "用原模型与微调模型的混合替换原模型",
    ),
    "use.lora": ("Replace the model by the one tuned with LoRA", "用 LoRA 微调的模型替换原模型"),
    "use.full": ("Replace the model by the fully tuned one", "用全参数微调的模型替换原模型"),
    "reason.gain": (
        "On val, {measure} goes from {base:.4f} to {tuned:.4f}: {points:+.2f} points (95 % interval {low:+.2f} … "
        "{high:+.2f}, p = {p:.4f}, corrected for {systems} systems).",
        "在 val 上，{measure} 从 {base:.4f} 变为 {tuned:.4f}：{points:+.2f} 个百分点（95% 区间 {low:+.2f} … "
        "{high:+.2f}，p = {p:.4f}，已按 {systems} 个系统校正）。",
    ),
    "reason.only_base": ("Nothing else could be measured.", "没有其他系统可以评测。"),
    "reason.none": (
        "No system shows a gain on val that couldn't be luck. The nearest is {system}: {points:+.2f} points (95 "
        "% interval {low:+.2f} … {high:+.2f}, p = {p:.4f}, corrected for {systems} systems).",
        "没有系统在 val 上显示出排除了运气的提升。最接近的是 {system}：{points:+.2f} 个百分点（95% 区间 "
        "{low:+.2f} … {high:+.2f}，p = {p:.4f}，已按 {systems} 个系统校正）。",
    ),
    "reason.needed": (
        "Val has {queries:,} queries; about {needed:,} would show a gain of {points:.1f} points.",
        "val 有 {queries:,} 条查询；要显示 {points:.1f} 个百分点的提升，大约需要 {needed:,} 条。",
    ),
    "reason.guard_lost": (
        "{system} gains {points:+.2f} points on val and loses {loss:.2f} on the guard {guard} (allowed: "
        "{allowed:.2f}), so it can't take the base's place.",
        "{system} 在 val 上提升 {points:+.2f} 个百分点，但在守护集 {guard} 上损失 {loss:.2f}（允许 {allowed:.2f}"
        "），因此不能取代原模型。",
    ),
    "reason.no_dearer": (
        "{rival} costs more and isn't shown to be better than {system}: {points:+.2f} points (95 % interval "
        "{low:+.2f} … {high:+.2f}).",
        "{rival} 成本更高，却没有显示出优于 {system}：{points:+.2f} 个百分点（95% 区间 {low:+.2f} … {high:+.2f}）。",
    ),
    "reason.beaten": (
        "{system} is cheaper and {rival} is better by {points:.2f} points (95 % interval {low:+.2f} … {high:+.2f}"
        ", p = {p:.4f}).",
        "{system} 更便宜，但 {rival} 高出 {points:.2f} 个百分点（95% 区间 {low:+.2f} … {high:+.2f}，p = {p:.4f}）。",
    ),
    "reason.guard_kept": (
        "The guard {guard} is kept: {points:+.2f} points.",
        "守护集 {guard} 保住了：{points:+.2f} 个百分点。",
    ),
    "reason.encode_again": (
        "All {documents:,} documents must be encoded again, and whatever else uses the model gets the new one.",
        "全部 {documents:,} 篇文档需要重新编码，其他用到该模型的地方也会换成新模型。",
    ),
    "reason.one_index": (
        "No document is encoded again. It serves this index; other indexes keep the base's queries.",
        "文档无需重新编码。它只服务于这个索引，其他索引仍使用原模型的查询向量。",
    ),
    "reason.flattered": (
        "Val also chose where its training stopped, which flatters it a little.",
        "val 同时决定了训练停在哪里，因此这个提升略微偏乐观。",
    ),
    "reason.test": (
        "Test was asked once, after this was decided: {points:+.2f} points (95 % interval {low:+.2f} … "
        "{high:+.2f}, p = {p:.4f}, {queries:,} queries).",
        "做出决定之后才用 test 看一次：{points:+.2f} 个百分点（95% 区间 {low:+.2f} … {high:+.2f}，p = {p:.4f}，"
        "{queries:,} 条查询）。",
    ),
    "reason.test_base": (
        "Test was asked once, after this was decided: the base has {mean:.4f} (95 % interval {low:.4f} … "
        "{high:.4f}, {queries:,} queries).",
        "做出决定之后才用 test 看一次：原模型为 {mean:.4f}（95% 区间 {low:.4f} … {high:.4f}，{queries:,} 条查询）。",
    ),
    "reason.test_worse": (
        "That is a loss, which val didn't foresee: don't put it to use before you know why.",
        "这是 val 没有预见的损失：弄清原因之前不要投入使用。",
    ),
    "out.no_reranker": ("no cross-encoder was given (--reranker)", "没有给出交叉编码器（--reranker）"),
    "out.no_train": ("the split train has no query with a relevant document", "train 划分里没有带相关文档的查询"),
    "out.no_better": (
        "training found nothing better on val than the base in {steps:,} steps",
        "训练 {steps:,} 步，没有在 val 上找到比原模型更好的结果",
    ),
    "out.no_move": ("moving documents helped no val query more than it hurt", "移动文档在 val 上得不偿失"),
    "out.coverage": (
        "only {covered:,} of {queries:,} val queries ({share:.0%}) are about documents that have training "
        "queries; NUDGE moves no others",
        "{queries:,} 条 val 查询中只有 {covered:,} 条（{share:.0%}）的文档有训练查询，而 NUDGE 只移动这些文档",
    ),
    "out.nothing_to_mix": ("there are no tuned weights to mix", "没有微调过的权重可以混合"),
    "out.no_share": (
        "no share of the tuned weights gains on val and keeps the guards",
        "没有哪个混合比例既在 val 上有提升又保住守护集",
    ),
    "table.system": ("system", "系统"),
    "table.val": ("val", "val"),
    "table.test": ("test", "test"),
    "table.against": ("against base (95 %)", "与原模型之差（95%）"),
    "table.guard": ("worst guard", "最差守护集"),
    "table.train": ("training", "训练"),
    "table.encode": ("re-encode", "重新编码"),
    "table.query": ("a query", "每条查询"),
    "table.size": ("size", "大小"),
    "table.out": ("left out: {why}", "未参评：{why}"),
    "table.measured": (
        "{measure}; {queries:,} test queries; a query: median of {timed} asked one by one, warm, embedding and "
        "search, on {machine}",
        "{measure}；test 有 {queries:,} 条查询；每条查询：逐条提问 {timed} 次的中位数，预热后，含编码与检索，机器"
        "为 {machine}",
    ),
    "table.recommended": ("Recommended: {what}", "建议：{what}"),
    "outcome.chosen": ("recommended", "建议采用"),
    "outcome.base": ("what the others are compared with", "比较基准"),
    "outcome.not_shown": ("no gain shown", "未显示提升"),
    "outcome.guard": ("loses the guard {guard}", "守护集 {guard} 受损"),
    "outcome.beaten": ("{rival} is better", "{rival} 更好"),
    "outcome.dearer": ("costs more than {system}, not shown to be better", "成本高于 {system}，且未显示更好"),
}


def say(key: str, **values: object) -> Words:
    """Returns the words of a key with the values in their places; raises KeyError for an unknown key."""
    return filled(Words(*_WORDS[key]), **values)
