"""Words that say little of what a text is about, in English and Chinese; negations aren't among them."""

from __future__ import annotations

__all__ = ["is_function_word"]

_ENGLISH = (
    "a about above after again all also although am among an and any are as at be because been before "
    "being between both but by can could did do does doing down during each either few for from further "
    "had has have having he her here hers him his how however i if in into is it its itself just may me "
    "might more most must my neither of off on once only or other our out over own s same shall she "
    "should so some such than that the their them then there therefore these they this those through thus "
    "to too under until up upon us very was we were what when where whether which while who whom whose "
    "why will with within would you your "
)
_CHINESE = (
    "一 一个 一些 一样 一直 一种 一般 上 下 不过 与 与其 且 且是 並 个 中 为 为了 主要 之 之一 "
    "之中 之前 之后 之间 也 也是 了 于 于是 人们 什么 今天 仍 从 他 他们 以 以上 以下 以为 以及 "
    "们 任何 会 但 但是 作为 你 你们 使 使得 使用 例如 個 們 內 其 其中 其他 其它 其後 具有 内 "
    "再 几乎 分别 则 到 則 前 即 即使 却 卻 又 及 另外 只 可 可以 可能 各 各种 同时 同樣 后 "
    "后来 向 吗 吧 呢 和 啊 嗎 因 因为 因此 因為 在 地 她 如 如何 如果 如此 它 它们 对 对于 将 "
    "將 對 對於 就 就是 尽管 已 已經 已经 并 并且 当时 很 很多 後 得 得到 從 怎么 怎样 成为 成為 "
    "我 我们 或 所 所以 所有 才 把 於 时 是 是否 時 更 曾 曾经 最 最后 最早 最終 最终 會 有 "
    "有些 有关 有的 期間 期间 来自 某 根据 根據 此 此后 此外 此時 每 為 然后 然後 现在 現在 由 "
    "由于 由於 當時 的 的话 目前 直到 看到 着 称为 稱為 第一 第三 第二 等 等等 給 组成 给 而 而且 "
    "而是 能 自己 至今 與 若 著 虽然 表示 被 裡 要 許多 該 認為 讓 认为 让 许多 该 过 还 还是 "
    "还有 这 这个 这些 这样 这种 进行 這 這些 這個 這樣 通过 通過 造成 進行 過 還 那 那个 那么 "
    "那些 那时 那裡 部分 都 里 重要 除了 随着 雖然 需要 非常 "
)
_WORDS = frozenset((_ENGLISH + _CHINESE).split())


def is_function_word(word: str) -> bool:
    """Says whether the word only holds others together."""
    return word.lower() in _WORDS
