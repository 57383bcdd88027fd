"""Trains a small Chinese text-embedding encoder from nothing, where no Chinese model can be downloaded.

python benchmarks/chinese_encoder.py COLLECTIONS --out FOLDER [--seed 42] [--steps 90]

Seen: the pairs of the train splits of drcd, xquad-zh, rgb-zh-news and dureader-demo-zh, and these collections'
documents that no val or test query is about. Never seen, not even as plain text: cmrc2018 and toyhom-med-zh.
FOLDER becomes a plain sentence-transformers folder: BERT, mean pooling, unit length, no prompts. --steps 0 keeps the
start, which retrieves better than the default's 90 steps on most collections (chinese_encoder.json, LOG.md).
"""

from __future__ import annotations

import argparse
import random
import re
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import opencc
import rjieba
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
from torch import Tensor
from torch.nn import functional
from transformers import BertConfig, BertModel, BertTokenizerFast

from embedtune import RetrievalDataset, progress
from embedtune.artifact import Artifact

SEEN = ("drcd", "xquad-zh", "rgb-zh-news", "dureader-demo-zh")
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
MOST_WORDS, LEAST_DOCUMENTS = 8000, 3
WIDTH, LAYERS, MAX_LENGTH = 384, 3, 256
RESERVED = 16  # dimensions that hold what a rare word's vector is longer by than a common one's; see first_vectors
STEPS, BATCH, QUERY_TOKENS, DOCUMENT_TOKENS = 90, 64, 40, 96
SCALE, DROPPED, LEARNING_RATE = 20.0, 0.1, 1e-3
SIMPLIFIED, TRADITIONAL = opencc.OpenCC("t2s"), opencc.OpenCC("s2t")
SENTENCE = re.compile(r"[^。！？!?\n]{8,}[。！？!?\n]?")


class Material(NamedTuple):
    """What the encoder may learn from: documents, and queries with their document's position."""

    documents: list[str]
    pairs: list[tuple[str, int]]


class Vocabulary(NamedTuple):
    """Tokens, and which of them mean the same: 开创, 開創, ##开创 and ##開創 share one concept."""

    tokens: list[str]
    concepts: list[str]
    concept_of: Tensor


def material(collections: Path) -> Material:
    """Returns the documents that no val or test query is about, and the pairs of the train splits."""
    documents: list[str] = []
    pairs: list[tuple[str, int]] = []
    for name in SEEN:
        dataset = RetrievalDataset.read(collections / name / "dataset.json")
        held_out_queries = dataset.queries_split["val"] + dataset.queries_split["test"]
        held_out = {document for query in held_out_queries for document in dataset.positives(query)}
        kept = [document for document in dataset.corpus if document not in held_out]
        position = {document: len(documents) + number for number, document in enumerate(kept)}
        documents += [dataset.corpus[document] for document in kept]
        for query in dataset.queries_split["train"]:
            about = [document for document in dataset.positives(query) if document in position]
            pairs += [(dataset.queries[query], position[document]) for document in about]
    return Material(documents, pairs)


def common_characters() -> set[str]:
    """Returns the characters of the simplified and the traditional standard, kana and printable ASCII."""
    found = {chr(code) for code in (*range(0x21, 0x7F), *range(0x3041, 0x30FF))}
    for encoding, first, last in (("gb2312", 0xB0A1, 0xF7FE), ("big5", 0xA440, 0xC67E)):
        for code in range(first, last + 1):
            found.add(code.to_bytes(2, "big").decode(encoding, errors="ignore")[:1])
    return {character.lower() for character in found if character.strip()}


def vocabulary(documents: list[str]) -> Vocabulary:
    """Returns characters, and words in both scripts, at the start of a run and inside it (##)."""
    in_documents: Counter[str] = Counter()
    for text in (SIMPLIFIED.convert(document.lower()) for document in documents):
        in_documents.update(sorted(set(rjieba.cut(text, False)) | set(re.findall(r"[a-z]{2,}|[0-9]{2,4}", text))))
    characters = Counter(character for text in documents for character in text.lower() if character.strip())
    known = common_characters() | {character for character, count in characters.items() if count > 1}
    frequent = [word for word, count in in_documents.most_common() if count >= LEAST_DOCUMENTS]
    words = [word for word in frequent if len(word) > 1 and word.isalnum()][:MOST_WORDS]
    plain = list(dict.fromkeys([*sorted(known), *words, *map(TRADITIONAL.convert, words)]))
    meaning = {token: token for token in SPECIAL}
    for token in plain:
        meaning[token] = meaning["##" + token] = SIMPLIFIED.convert(token)
    concepts = {concept: number for number, concept in enumerate(dict.fromkeys(meaning.values()))}
    return Vocabulary(list(meaning), list(concepts), torch.tensor([concepts[concept] for concept in meaning.values()]))


def first_vectors(concepts: list[str], document_frequency: np.ndarray, total: int, seed: int) -> Tensor:
    """Returns (concepts, WIDTH): random directions, a word's leaning towards its characters', weighted by idf.

    BERT normalises every token's vector, which would make all words weigh the same. So what a
    common word lacks in length goes to the reserved dimensions, which the last layer leaves out:
    before any training the mean of the tokens is a random projection of the text's tf-idf vector.
    """
    content = torch.randn(len(concepts), WIDTH - RESERVED, generator=torch.Generator().manual_seed(seed))
    content = functional.normalize(content - content.mean(1, keepdim=True))
    number = {concept: position for position, concept in enumerate(concepts)}
    mixed = content.clone()
    for position, concept in enumerate(concepts):
        parts = [number[character] for character in concept if character in number and concept not in SPECIAL]
        if len(concept) > 1 and parts:
            mixed[position] += 0.5 * functional.normalize(content[parts].sum(0), dim=0)
    weight = np.log((total + 1) / (document_frequency + 0.5)) / np.log((total + 1) / 0.5)
    weight[: len(SPECIAL)] = 0
    idf = torch.from_numpy(weight).float().clamp(0.01, 0.999).unsqueeze(1)
    rest = torch.tensor([1.0, -1.0]).repeat(RESERVED // 2) / RESERVED**0.5 * (1 - idf**2).sqrt()
    return torch.cat([functional.normalize(mixed) * idf, rest], 1) * WIDTH**0.5


class SharedEmbedding(torch.nn.Module):
    """Looks tokens up through their concepts, so that what one script learns the other knows."""

    def __init__(self, vectors: Tensor, concept_of: Tensor) -> None:
        super().__init__()
        self.vectors = torch.nn.Parameter(vectors)
        self.concept_of = concept_of

    def forward(self, tokens: Tensor) -> Tensor:
        """Returns each token's vector."""
        return functional.embedding(self.concept_of[tokens], self.vectors)


def new_bert(vocabulary_size: int, seed: int) -> BertModel:
    """Returns a BERT whose layers pass their input on until they learn to do better."""
    torch.manual_seed(seed)
    shape = {"hidden_size": WIDTH, "num_hidden_layers": LAYERS, "num_attention_heads": WIDTH // 64}
    config = BertConfig(vocab_size=vocabulary_size, intermediate_size=2 * WIDTH, **shape)
    bert = BertModel(config, add_pooling_layer=False)
    with torch.no_grad():
        bert.embeddings.token_type_embeddings.weight.zero_()
        for layer in bert.encoder.layer:
            layer.attention.output.dense.weight.zero_()
            layer.output.dense.weight.zero_()
        bert.encoder.layer[-1].output.LayerNorm.weight[-RESERVED:] = 0
    return bert


def sentence_and_rest(document: str, choice: random.Random) -> tuple[str, str] | None:
    """Returns a sentence as the query and its document, mostly without it (the inverse cloze task)."""
    sentences = list(SENTENCE.finditer(document))
    if len(sentences) < 2:
        return None
    sentence = choice.choice(sentences)
    cut = sentence.span() if choice.random() < 0.7 else (0, 0)
    return sentence.group(), document[: cut[0]] + document[cut[1] :]


def batches(seen: Material, steps: int, seed: int) -> Iterator[list[tuple[str, str]]]:
    """Yields batches of (query, document), no document twice in one: half real queries, half sentences."""
    choice = random.Random(seed)
    for _ in range(steps):
        rows: dict[int, tuple[str, str]] = {}
        for query, position in choice.sample(seen.pairs, min(BATCH // 2, len(seen.pairs))):
            rows.setdefault(position, (query, seen.documents[position]))
        for position in choice.sample(range(len(seen.documents)), min(BATCH, len(seen.documents))):
            row = sentence_and_rest(seen.documents[position], choice)
            if len(rows) < BATCH and row is not None:
                rows.setdefault(position, row)
        yield list(rows.values())


def embed(bert: BertModel, tokenizer: BertTokenizerFast, texts: list[str], most: int, choice: random.Random) -> Tensor:
    """Returns (texts, WIDTH), unit length; a tenth of the tokens is left out, long texts start anywhere."""
    rows = []
    for encoded in tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]:
        start = choice.randrange(max(1, len(encoded) - most + 1))
        kept = [token for token in encoded[start : start + most] if choice.random() >= DROPPED]
        rows.append(torch.tensor([tokenizer.cls_token_id, *kept, tokenizer.sep_token_id]))
    tokens = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
    mask = torch.arange(tokens.shape[1]) < torch.tensor([len(row) for row in rows]).unsqueeze(1)
    states = bert(input_ids=tokens, attention_mask=mask.long()).last_hidden_state.float()
    return functional.normalize((states * mask.unsqueeze(2)).sum(1))


def train(bert: BertModel, tokenizer: BertTokenizerFast, seen: Material, steps: int, seed: int) -> None:
    """Contrasts every query with all documents of its batch, and every document with all queries."""
    optimizer = torch.optim.AdamW(bert.parameters(), lr=LEARNING_RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=max(steps, 2), pct_start=0.1)
    choice = random.Random(seed)
    bert.eval()  # no dropout: tokens are left out instead
    with progress.task("training", steps) as task:
        for rows in batches(seen, steps, seed):
            with torch.autocast("cpu", torch.bfloat16):
                queries = embed(bert, tokenizer, [query for query, _ in rows], QUERY_TOKENS, choice)
                documents = embed(bert, tokenizer, [document for _, document in rows], DOCUMENT_TOKENS, choice)
            scores, target = SCALE * queries @ documents.T, torch.arange(len(rows))
            loss = (functional.cross_entropy(scores, target) + functional.cross_entropy(scores.T, target)) / 2
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(bert.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            task.advance()


def build(collections: Path, out: Path, steps: int, seed: int) -> None:
    """Writes the encoder's folder, whole or not at all."""
    seen = material(collections)
    words = vocabulary(seen.documents)
    numbers = {token: number for number, token in enumerate(words.tokens)}
    tokenizer = BertTokenizerFast(vocab=numbers, tokenize_chinese_chars=False)
    tokenized = tokenizer(seen.documents, add_special_tokens=False, verbose=False)["input_ids"]
    in_document = np.concatenate([np.unique(words.concept_of[tokens]) for tokens in tokenized])
    frequency = np.bincount(in_document, minlength=len(words.concepts))
    bert = new_bert(len(words.tokens), seed)
    first = first_vectors(words.concepts, frequency, len(seen.documents), seed)
    shared = bert.embeddings.word_embeddings = SharedEmbedding(first, words.concept_of)
    progress.say(f"{len(words.tokens)} tokens, {len(seen.documents)} documents, {len(seen.pairs)} pairs")
    train(bert, tokenizer, seen, steps, seed)
    bert.embeddings.word_embeddings = torch.nn.Embedding.from_pretrained(
        shared.vectors.detach()[words.concept_of], freeze=False, padding_idx=tokenizer.pad_token_id
    )
    made_from = {"collections": dict.fromkeys(SEEN, "train"), "steps": steps, "seed": seed}
    with Artifact.create(out, "encoder", made_from) as folder, tempfile.TemporaryDirectory() as backbone:
        bert.save_pretrained(backbone)
        tokenizer.save_pretrained(backbone)
        modules = [Transformer(backbone, max_seq_length=MAX_LENGTH), Pooling(WIDTH, pooling_mode="mean"), Normalize()]
        SentenceTransformer(modules=modules, device="cpu").save_pretrained(str(folder), create_model_card=False)


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="Trains a small Chinese text-embedding encoder from nothing.")
    parser.add_argument("collections", type=Path, help="folder of the collections, each a folder with dataset.json")
    parser.add_argument("--out", type=Path, required=True, help="folder that comes out")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--steps", type=int, default=STEPS, help="batches; 0 leaves the encoder as it begins")
    with progress.shown():
        build(**vars(parser.parse_args()))


if __name__ == "__main__":
    main()
