"""The reference for fine-tuning's quality: PyTorch and transformers on MTS-Dialog, `dialogue` to `section_header`.

usage: python torch_quality.py RECIPE.json SEED MTS-DIALOG ENCODER [--choose] [--threads N] [--save FILE.npz]
prints: one JSON line with accuracy and macro-F1 (scikit-learn's, over the labels in truth or prediction) and seconds

Trains on the training set and scores test set 1. With --choose it trains on four fifths of the training set and scores the
last fifth together with the validation set, so that a recipe is never chosen on the test set. --save keeps the probabilities.

A recipe is an object with any of these keys (here with what holds without them):
  max_tokens 256, cut "head" (the first tokens) or "ends" (a quarter of them from the end)
  pooling    "mean": mean of the rows -> dropout -> linear; "cls": first row -> pooler (linear, tanh) -> dropout -> linear, which
             is BertForSequenceClassification; "pooler": the same with the pooler drawn anew; "mean_pooler": mean -> pooler
  layers 0 (all, with the embeddings; n: the last n, the rest is frozen and its output is computed once, without dropout),
  epochs 8, batch 16, learning_rate 1e-4, head_rate 1 (times the learning rate, for what comes after the encoder),
  layer_decay 1 (each layer's rate is that of the layer above times this), warmup 0.1 (share of the steps), decay 0.01, clip 1,
  smoothing 0, class_weights 0 (weights are frequency to the power of minus this, with mean 1 over the examples),
  notes false (true: `section_text` of the training set is trained on as well, with note_weight 1 per example)
  vote 0, vote_frozen 0 (shares of the TF-IDF model and of a logistic regression on the frozen encoder's mean rows, normalised,
  of 256 tokens, in the average of probabilities; with vote_notes true both have learned of section_text too),
  dtype "fp32" or "bf16" (autocast)
Batches: shuffled, then sorted by length within stretches of 16 batches, then the batches shuffled.
"""
import argparse
import csv
import json
import random
import time

import numpy as np
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_union
from torch.nn import functional as F
from transformers import AutoModel, AutoTokenizer, get_linear_schedule_with_warmup

FILES = {"train": "TrainingSet", "validation": "ValidationSet", "test": "TestSet-1-MEDIQA-Chat-2023"}
DEFAULTS = dict(
    max_tokens=256,
    cut="head",
    pooling="mean",
    layers=0,
    epochs=8,
    batch=16,
    learning_rate=1e-4,
    head_rate=1.0,
    layer_decay=1.0,
    warmup=0.1,
    decay=0.01,
    clip=1.0,
    smoothing=0.0,
    class_weights=0.0,
    notes=False,
    note_weight=1.0,
    vote=0.0,
    vote_frozen=0.0,
    vote_notes=False,
    dtype="fp32",
)


def read(folder, part):
    return list(csv.DictReader(open(f"{folder}/MTS-Dialog-{FILES[part]}.csv", encoding="utf-8")))


class Tuned(torch.nn.Module):
    def __init__(self, encoder, outputs, recipe):
        super().__init__()
        self.encoder = AutoModel.from_pretrained(encoder)
        self.pooling = recipe["pooling"]
        size = self.encoder.config.hidden_size
        pooler, self.encoder.pooler = self.encoder.pooler.dense, None
        self.pooler = None if self.pooling == "mean" else pooler
        self.classifier = torch.nn.Linear(size, outputs)
        for layer in [self.classifier] + ([self.pooler] if self.pooling in ("pooler", "mean_pooler") else []):
            layer.weight.data.normal_(0, 0.02)
            layer.bias.data.zero_()
        self.dropout = torch.nn.Dropout(self.encoder.config.hidden_dropout_prob)
        layers = self.encoder.encoder.layer
        self.frozen = len(layers) - recipe["layers"] if recipe["layers"] else 0
        if self.frozen:
            for part in [self.encoder.embeddings, *layers[: self.frozen]]:
                part.requires_grad_(False)

    def below(self, ids, mask):
        """What the frozen layers make of token ids."""
        rows = self.encoder.embeddings(input_ids=ids)
        for layer in self.encoder.encoder.layer[: self.frozen]:
            rows = layer(rows, mask[:, None, None, :])
        return rows

    def forward(self, given, mask):
        rows = given if self.frozen else self.below(given, mask)
        for layer in self.encoder.encoder.layer[self.frozen :]:
            rows = layer(rows, mask[:, None, None, :])
        if self.pooling.startswith("mean"):
            rows = (rows * mask.unsqueeze(-1)).sum(1) / mask.sum(1, keepdim=True)
        else:
            rows = rows[:, 0]
        if self.pooler is not None:
            rows = self.pooler(rows).tanh()
        return self.classifier(self.dropout(rows)).float()


def tokens(words, texts, recipe):
    most = recipe["max_tokens"]
    cut = []
    for ids in words(texts)["input_ids"]:
        if len(ids) > most:
            tail = most // 4 if recipe["cut"] == "ends" else 1
            ids = ids[: most - tail] + ids[-tail:]
        cut.append(ids)
    return cut


def pad(given):
    """Texts as one batch: of token ids, or of rows from the frozen layers."""
    given = [torch.as_tensor(x) for x in given]
    lengths = torch.tensor([len(x) for x in given])
    mask = torch.arange(int(lengths.max())) < lengths.unsqueeze(1)
    return torch.nn.utils.rnn.pad_sequence(given, batch_first=True), mask


def freeze(model, ids, cast):
    """What the frozen layers make of each text."""
    model.eval()
    kept = [None] * len(ids)
    order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
    with torch.no_grad(), cast():
        for start in range(0, len(ids), 32):
            here = order[start : start + 32]
            for i, rows in zip(here, model.below(*pad([ids[i] for i in here]))):
                kept[i] = rows[: len(ids[i])].clone()
    return kept


def batches(ids, size, dice):
    order = list(range(len(ids)))
    dice.shuffle(order)
    cut = []
    for start in range(0, len(order), size * 16):
        stretch = sorted(order[start : start + size * 16], key=lambda i: len(ids[i]))
        cut += [stretch[i : i + size] for i in range(0, len(stretch), size)]
    dice.shuffle(cut)
    return cut


def groups(model, recipe):
    """Parameters with their rates: the head's, and each layer's below it; no decay on biases and layer norms."""
    depth = model.encoder.config.num_hidden_layers
    made = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        if not name.startswith("encoder."):
            rate = recipe["head_rate"]
        else:
            below = depth if "embeddings" in name else depth - 1 - int(name.split(".layer.")[1].split(".")[0])
            rate = recipe["layer_decay"] ** below
        made.setdefault((rate, parameter.ndim > 1), []).append(parameter)
    return [
        {"params": p, "lr": recipe["learning_rate"] * rate, "weight_decay": recipe["decay"] if matrix else 0.0}
        for (rate, matrix), p in made.items()
    ]


def probabilities(model, ids, cast):
    model.eval()
    found = np.zeros((len(ids), model.classifier.out_features))
    order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
    with torch.inference_mode(), cast():
        for start in range(0, len(ids), 32):
            here = order[start : start + 32]
            found[here] = model(*pad([ids[i] for i in here])).softmax(-1).numpy()
    return found


def fine_tune(recipe, seed, encoder, train, labels, weights, outputs, tests, watch=None):
    torch.manual_seed(seed)
    dice = random.Random(seed)
    words = AutoTokenizer.from_pretrained(encoder)
    words.backend_tokenizer.no_truncation()
    words.backend_tokenizer.no_padding()
    ids, tests = tokens(words, train, recipe), [tokens(words, t, recipe) for t in tests]
    labels, weights = torch.tensor(labels), torch.tensor(weights, dtype=torch.float32)
    frequency = torch.bincount(labels, minlength=outputs) / len(labels)
    of_class = frequency.clamp_min(1e-9) ** -recipe["class_weights"]
    of_class /= (of_class * frequency).sum()
    model = Tuned(encoder, outputs, recipe)
    optimizer = torch.optim.AdamW(groups(model, recipe), fused=True)
    steps = recipe["epochs"] * -(-len(ids) // recipe["batch"])
    schedule = get_linear_schedule_with_warmup(optimizer, int(recipe["warmup"] * steps), steps)
    cast = lambda: torch.autocast("cpu", torch.bfloat16, enabled=recipe["dtype"] == "bf16")
    start = time.perf_counter()
    if model.frozen:
        ids, *tests = [freeze(model, x, cast) for x in (ids, *tests)]
    for epoch in range(recipe["epochs"]):
        model.train()
        total = 0.0
        for batch in batches(ids, recipe["batch"], dice):
            with cast():
                logits = model(*pad([ids[i] for i in batch]))
            each = F.cross_entropy(logits, labels[batch], of_class, label_smoothing=recipe["smoothing"], reduction="none")
            loss = (weights[batch] * each).sum() / (weights[batch] * of_class[labels[batch]]).sum()
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), recipe["clip"])
            optimizer.step()
            schedule.step()
            total += loss.item() * len(batch)
        if watch:
            spent = time.perf_counter() - start
            watch(epoch, total / len(ids), spent, lambda which: probabilities(model, tests[which], cast))
    seconds = time.perf_counter() - start
    return [probabilities(model, t, cast) for t in tests], seconds


def linear(train, labels, weights, outputs, tests):
    model = LogisticRegression(C=20, class_weight="balanced", max_iter=2000).fit(train, labels, sample_weight=weights)
    found = []
    for test in tests:
        full = np.zeros((test.shape[0], outputs))
        full[:, model.classes_] = model.predict_proba(test)
        found.append(full)
    return found


def ngrams(train, labels, weights, outputs, tests):
    union = make_union(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2),
        TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), sublinear_tf=True, min_df=2),
    )
    return linear(union.fit_transform(train), labels, weights, outputs, [union.transform(t) for t in tests])


def frozen(encoder, train, labels, weights, outputs, tests):
    words = AutoTokenizer.from_pretrained(encoder)
    words.backend_tokenizer.no_truncation()
    words.backend_tokenizer.no_padding()
    model = AutoModel.from_pretrained(encoder).eval()

    def embedded(texts):
        ids = tokens(words, texts, DEFAULTS)
        rows = torch.zeros(len(ids), model.config.hidden_size)
        order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
        with torch.inference_mode():
            for start in range(0, len(ids), 32):
                here = order[start : start + 32]
                given, mask = pad([ids[i] for i in here])
                found = model(input_ids=given, attention_mask=mask).last_hidden_state * mask.unsqueeze(-1)
                rows[here] = F.normalize(found.sum(1), dim=-1)
        return rows.numpy()

    return linear(embedded(train), labels, weights, outputs, [embedded(t) for t in tests])


def scores(truth, chances):
    guess = chances.argmax(1)
    return {
        "accuracy": round(accuracy_score(truth, guess), 4),
        "macro_f1": round(f1_score(truth, guess, average="macro", zero_division=0), 4),
    }


def main():
    parser = argparse.ArgumentParser()
    for name in ("recipe", "seed", "data", "encoder"):
        parser.add_argument(name, type=int if name == "seed" else str)
    parser.add_argument("--choose", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--save")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    given = json.load(open(asked.recipe))
    unknown = set(given) - set(DEFAULTS)
    assert not unknown, f"unknown in the recipe: {sorted(unknown)}"
    recipe = DEFAULTS | given

    rows = read(asked.data, "train")
    outputs = sorted({r["section_header"] for r in rows})
    if asked.choose:
        folds = StratifiedKFold(5, shuffle=True, random_state=0).split(rows, [r["section_header"] for r in rows])
        kept, held = next(iter(folds))
        tests = {"held_out": [rows[i] for i in held], "validation": read(asked.data, "validation")}
        rows = [rows[i] for i in kept]
    else:
        tests = {"test": read(asked.data, "test")}

    def examples(notes):
        texts, labels = [r["dialogue"] for r in rows], [outputs.index(r["section_header"]) for r in rows]
        if not notes:
            return texts, labels, [1.0] * len(rows)
        more = [r["section_text"] for r in rows]
        return texts + more, labels * 2, [1.0] * len(rows) + [recipe["note_weight"]] * len(rows)

    texts = [[r["dialogue"] for r in t] for t in tests.values()]
    truth = [[outputs.index(r["section_header"]) for r in t] for t in tests.values()]

    def watch(epoch, loss, seconds, chances):
        if asked.choose:
            here = [scores(y, chances(i))["accuracy"] for i, y in enumerate(truth)]
            print(f"epoch {epoch + 1} loss {loss:.4f} {seconds:.0f} s {here}", flush=True)

    tuned, seconds = fine_tune(recipe, asked.seed, asked.encoder, *examples(recipe["notes"]), len(outputs), texts, watch)
    voters = [tuned, ngrams(*examples(recipe["vote_notes"]), len(outputs), texts)]
    if recipe["vote_frozen"]:
        voters.append(frozen(asked.encoder, *examples(recipe["vote_notes"]), len(outputs), texts))
    line = {"recipe": given, "seed": asked.seed, "seconds": round(seconds, 1)}
    parts = {name: (truth[i], *(v[i] for v in voters)) for i, name in enumerate(tests)}
    if len(parts) > 1:
        parts["together"] = tuple(np.concatenate(x) for x in zip(*parts.values()))
    shares = [1 - recipe["vote"] - recipe["vote_frozen"], recipe["vote"], recipe["vote_frozen"]]
    kinds = ("tuned", "ngrams", "frozen")
    for name, (y, *chances) in parts.items():
        line[name] = scores(y, sum(s * c for s, c in zip(shares, chances))) | {k: scores(y, c) for k, c in zip(kinds, chances)}
    print(json.dumps(line), flush=True)
    if asked.save:
        named = {f"{n}_{k}": v for n, p in parts.items() for k, v in zip(("truth", *kinds), p)}
        np.savez(asked.save, **named)


if __name__ == "__main__":
    main()
