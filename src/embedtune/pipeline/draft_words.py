"""The comments of a drafted recipe, in English and Chinese."""

from __future__ import annotations

__all__ = ["WORDS"]

WORDS: dict[str, tuple[str, str]] = {
    "head": (
        "Written by embedtune init. See what it would do: embedtune plan RECIPE. Do it: embedtune run RECIPE.",
        "由 embedtune init 写成。先看会做什么：embedtune plan RECIPE；再执行：embedtune run RECIPE。",
    ),
    "paths": (
        "Paths are those of the directory you run in. A step's inputs are names of steps before it, or paths.",
        "路径以运行命令时所在的目录为准。步骤的输入写前面步骤的名字，或者写路径。",
    ),
    "found": (
        "Found: {documents:,} documents, {queries:,} queries, splits: {splits}.",
        "数据：{documents:,} 篇文档，{queries:,} 条查询，划分：{splits}。",
    ),
    "found_files": (
        "Found: files that aren't a dataset yet; they are cut into documents first.",
        "数据：还不是数据集的文件，先切成文档。",
    ),
    "none": ("none", "无"),
    "english_model": (
        "minilm is an English model and the data is Chinese: take a Chinese one, such as BAAI/bge-small-zh-v1.5.",
        "minilm 是英文模型，而数据是中文：请换中文模型，例如 BAAI/bge-small-zh-v1.5。",
    ),
    "guard": (
        "What else your users search and must not get worse; without it a small general set is watched:",
        "用户还会搜索、不能变差的内容；不写则只看一个很小的通用集：",
    ),
    "import": (
        "Files to documents that the encoder reads whole.",
        "把文件切成模型能整段读完的文档。",
    ),
    "check": (
        "Stops here where something would spoil the result.",
        "如果有会让结果失真的问题，就停在这里。",
    ),
    "synth": (
        "There are no queries, so they are made from the documents. rules needs no model; openai asks a language model "
        "and gives queries nearer to people's.",
        "没有查询，所以从文档生成。rules 不需要模型；openai 会请语言模型来写，更接近真人的查询。",
    ),
    "synthetic": (
        "All figures will be about made queries. Collect some real ones for test as soon as you can.",
        "此时所有指标都来自生成的查询，请尽早收集一些真实查询作为测试集。",
    ),
    "filter": ("Drops made queries that would teach something wrong.", "去掉会教坏模型的生成查询。"),
    "split": (
        "train teaches, val chooses, test is asked once at the end. By document: no document answers on two sides.",
        "train 用来训练，val 用来挑选，test 只在最后问一次。按文档划分：同一篇文档不会出现在两边。",
    ),
    "split_again": (
        "The data has no complete set of train, val and test, so its queries are divided anew.",
        "数据没有完整的 train、val、test，因此重新划分查询。",
    ),
    "own_split": ("The data's own splits are used.", "沿用数据自带的划分。"),
    "baselines": (
        "What there is without training; bm25 costs nothing, and hybrid is often enough.",
        "不训练时的水平；bm25 没有成本，而混合检索常常就够用了。",
    ),
    "mine": (
        "Documents that look relevant and aren't, for training.",
        "找出看起来相关、其实不相关的文档，供训练使用。",
    ),
    "own_negatives": ("The data's own negatives are used.", "沿用数据自带的负例。"),
    "several": (
        "{several:,} queries have several relevant documents; each is an example of its own.",
        "{several:,} 条查询有多篇相关文档；每一篇各算一个训练样本。",
    ),
    "train_full": (
        "All weights. lora needs less memory; adapter keeps model and index as they are and takes seconds.",
        "训练全部权重。lora 占内存更少；adapter 不动模型和索引，几秒就好。",
    ),
    "train_adapter": (
        "Few examples ({train:,}): model and index stay, query vectors are mapped. full trains all weights.",
        "样本较少（{train:,}）：只训练查询向量的映射，模型和索引不变。full 会训练全部权重。",
    ),
    "tuned": ("The result, on the same queries.", "在同样的查询上看结果。"),
    "compare": ("Is it better, or could it be luck?", "是真的更好，还是碰运气？"),
    "gate": (
        "May it replace the base? Where not, run ends with exit status 3.",
        "能替换原模型吗？不能时 run 以状态码 3 结束。",
    ),
    "report": ("One page to show: steps' folder, report.html.", "可以给别人看的一页：该步骤目录里的 report.html。"),
}
