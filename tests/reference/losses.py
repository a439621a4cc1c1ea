"""Twenty steps of training in PyTorch on the tiny classifiers: losses, gradients, learning rates, final weights.

usage: python losses.py DATA    (after encoders.py DATA)
writes: DATA/losses.json

Every run starts from DATA/encoders/FOLDER and takes the examples in the written order, in batches of 6, again from the start
after the last; dropout is 0. With `accumulate` 2 a step takes two such batches, that is 12 examples. At step t = 0..19:
  loss       as below, over all examples of the step (also over those of several accumulated batches together)
  clip       torch.nn.utils.clip_grad_norm_(1.0): gradients times min(1, 1 / (norm + 1e-6)), one norm over all parameters;
             `norms` are before clipping
  AdamW      betas 0.9 and 0.999, eps 1e-8 added to sqrt(v / (1 - beta2^n)), with n = t + 1; decay 0.01, decoupled:
             weight *= 1 - lr * 0.01 first, then the step. Decay on parameters of two dimensions (embeddings included), none on
             biases and layer norms. Dense: a row of an embedding that no text ever touched only decays, and one that was touched
             goes on moving by its moments.
  lr         1e-3 * t / 4 for t < 4, then 1e-3 * (20 - t) / (20 - 4): get_linear_schedule_with_warmup(4, 20). The first step
             has 0 and so changes nothing but the moments.
Normalisation, with p the softmax of the logits, y_i the label, K the number of labels, w the class weights, s_i the weight of an
example (of its source), e the label smoothing:
  softmax    sum_i s_i * ce_i / sum_i s_i * w[y_i]
             ce_i = (1 - e) * w[y_i] * -log p_i[y_i]  +  e / K * sum_k w[k] * -log p_i[k]
             With s = 1 this is torch.nn.CrossEntropyLoss(weight, label_smoothing), mean: each class's share of the smoothing
             carries its own weight, but the divisor is that of the true classes alone. Without class weights it is
             sum_i s_i * ce_i / sum_i s_i.
  sigmoid    mean over examples and labels (divided by 6 * K) of
             -(positive[k] * y * log sigma + negative[k] * (1 - y) * log(1 - sigma)): torch.nn.BCEWithLogitsLoss with
             weight = negative, pos_weight = positive / negative
bert: first row -> pooler (linear, tanh) -> classifier. distilbert: first row -> pre_classifier, relu -> classifier.
modernbert: mean of the rows (its configuration; in modernbert-cls the first row) -> head (linear without bias, gelu, layer norm)
-> classifier.

All of it is computed in f32 and written with 8 digits. `noise` is the largest difference of a loss from the same run in f64:
hold others to no less. Gradients of a key's bias are zero but for rounding, as softmax does not see them; AdamW turns even that
into steps of full size, so these biases differ between programs, without effect on the losses.
"""
import json
import sys
from pathlib import Path

import torch
import transformers
from encoders import LABELS, digits, write_json
from torch.nn import functional as F
from transformers import AutoModelForSequenceClassification, AutoTokenizer, get_linear_schedule_with_warmup

BATCH, STEPS, WARMUP, RATE, DECAY, CLIP = 6, 20, 4, 1e-3, 0.01, 1.0
# text, labels (the first is that of a single choice; none is "other" alone), source
EXAMPLES = [
    ("She forgot the name of her daughter.", [0], "gold"),
    ("He was calm and in a good mood.", [1], "gold"),
    ("The patient walks to the home.", [2], "silver"),
    ("Memory poor, lost his keys again.", [0], "bronze"),
    ("No pain in the night.", [2], "gold"),
    ("She asks for the date again and again, mood poor.", [0, 1], "silver"),
    ("His wife was not calm.", [1], "bronze"),
    ("Recall test: 2/10.", [0], "gold"),
    ("Exam good.", [2], "gold"),
    ("He fell on day 12.", [2], "silver"),
    ("The talk was good, she was calm.", [1], "gold"),
    ("Forgot to walk home, forgot the keys.", [0], "bronze"),
    ("Sleep is good; no pain.", [2], "gold"),
    ("Her mood is poor in the night.", [1], "silver"),
    ("He lost the name and the date.", [0], "gold"),
    ("Patient not calm: talking, asking, walking.", [1, 0], "bronze"),
    ("The exam was on day 3.", [2], "gold"),
    ("She is in pain?", [2], "silver"),
    ("Lost again!", [0], "gold"),
    ("Mood: good.", [1], "gold"),
    ("He sleeps with no pain and walks in the day with his daughter.", [2], "bronze"),
    ("Name, date, day - all lost; recall 0.", [0], "silver"),
    ("A sad mood, and poor sleep.", [1, 2], "gold"),
    ("The test of memory was poor.", [0], "gold"),
]
WEIGHT_OF = {"gold": 1.0, "silver": 0.5, "bronze": 0.25}
WEIGHTED = dict(loss="softmax", class_weights=[0.5, 1.0, 2.0], smoothing=0.1)
RUNS = {
    "weighted-smoothed": dict(folder="bert-classifier", **WEIGHTED),
    "plain": dict(folder="bert-classifier", loss="softmax"),
    "multiple": dict(folder="bert-classifier", loss="sigmoid", positive=[1.0, 2.0, 3.0], negative=[1.0, 0.5, 0.8]),
    "accumulated": dict(folder="bert-classifier", loss="softmax", class_weights=[0.5, 1.0, 2.0], accumulate=2),
    "sources": dict(folder="bert-classifier", loss="softmax", sources=True),
    "everything": dict(folder="bert-classifier", **WEIGHTED, accumulate=2, sources=True),
    "distilbert": dict(folder="distilbert-classifier", **WEIGHTED),
    "modernbert": dict(folder="modernbert-classifier", **WEIGHTED),
    "modernbert-cls": dict(folder="modernbert-classifier", pooling="cls", **WEIGHTED),
}


def terms(run, logits, labels, sources):
    """Sum of the examples' losses and what it is to be divided by, for some examples of a step."""
    if run["loss"] == "sigmoid":
        y = torch.zeros_like(logits)
        for row, chosen in zip(y, labels):
            row[chosen] = 1.0
        positive, negative = (torch.tensor(run[k], dtype=logits.dtype) for k in ("positive", "negative"))
        cells = F.binary_cross_entropy_with_logits(logits, y, negative, pos_weight=positive / negative, reduction="none")
        return cells.sum(), cells.numel()
    y = torch.tensor([chosen[0] for chosen in labels])
    w = torch.tensor(run.get("class_weights", [1.0] * len(LABELS)), dtype=logits.dtype)
    s = torch.tensor([WEIGHT_OF[x] if run.get("sources") else 1.0 for x in sources], dtype=logits.dtype)
    smoothing = run.get("smoothing", 0.0)
    each = F.cross_entropy(logits, y, w, label_smoothing=smoothing, reduction="none")
    logs = -logits.log_softmax(-1)
    formula = (1 - smoothing) * w[y] * logs[range(len(y)), y] + smoothing / len(w) * (logs * w).sum(-1)
    torch.testing.assert_close(each, formula)
    if not run.get("sources"):
        mean = F.cross_entropy(logits, y, w, label_smoothing=smoothing)
        torch.testing.assert_close(mean, each.sum() / w[y].sum())
    return (s * each).sum(), (s * w[y]).sum()


def train(run, encoders, ids, dtype):
    # eager attention takes its softmax in f32 whatever the type
    attention = "eager" if dtype == torch.float32 else "sdpa"
    model = AutoModelForSequenceClassification.from_pretrained(
        encoders / run["folder"], attn_implementation=attention, dtype=dtype
    )
    if "pooling" in run:
        model.config.classifier_pooling = run["pooling"]
    model.train()
    named = dict(model.named_parameters())
    groups = [
        {"params": [p for p in named.values() if p.ndim >= 2], "weight_decay": DECAY},
        {"params": [p for p in named.values() if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=RATE, betas=(0.9, 0.999), eps=1e-8)
    schedule = get_linear_schedule_with_warmup(optimizer, WARMUP, STEPS)
    losses, norms, rates, first = [], [], [], {}
    for step in range(STEPS):
        sums = []
        for part in range(run.get("accumulate", 1)):
            start = (step * run.get("accumulate", 1) + part) * BATCH
            here = [i % len(EXAMPLES) for i in range(start, start + BATCH)]
            longest = max(len(ids[i]) for i in here)
            tokens = torch.tensor([ids[i] + [0] * (longest - len(ids[i])) for i in here])
            mask = torch.tensor([[1] * len(ids[i]) + [0] * (longest - len(ids[i])) for i in here])
            logits = model(input_ids=tokens, attention_mask=mask).logits
            sums.append(terms(run, logits, [EXAMPLES[i][1] for i in here], [EXAMPLES[i][2] for i in here]))
        loss = sum(s for s, _ in sums) / sum(d for _, d in sums)
        optimizer.zero_grad()
        loss.backward()
        if step == 0:
            first = {n: p.grad.norm().item() for n, p in named.items()}
        losses.append(loss.item())
        norms.append(torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP).item())
        rates.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    final = {
        n: p.detach().flatten()[:4]
        for n, p in named.items()
        if n.startswith("classifier") or any(x in n for x in ("word_embeddings", "tok_embeddings", "position_emb", ".0.", "pooler"))
    }
    final = {n: v for n, v in final.items() if not n.endswith(("key.bias", "k_lin.bias"))}
    # rows of the word embeddings: one that texts touched, and [MASK], which none did
    words = next(p for n, p in named.items() if "word_embeddings" in n or "tok_embeddings" in n)
    return losses, norms, rates, first, final, {t: words.detach()[t][:4] for t in (ids[0][1], 4)}


def main(data):
    encoders = Path(data) / "encoders"
    words = AutoTokenizer.from_pretrained(encoders / "bert-classifier")
    ids = [words(text)["input_ids"] for text, _, _ in EXAMPLES]
    written = {
        "made_by": f"tests/reference/losses.py (which says how), torch {torch.__version__.split('+')[0]}, "
        f"transformers {transformers.__version__}",
        "batch": BATCH,
        "steps": STEPS,
        "warmup": WARMUP,
        "learning_rate": RATE,
        "decay": DECAY,
        "clip": CLIP,
        "source_weights": WEIGHT_OF,
        "examples": {
            "texts": [t for t, _, _ in EXAMPLES],
            "ids": ids,
            "labels": [y for _, y, _ in EXAMPLES],
            "sources": [s for _, _, s in EXAMPLES],
        },
        "runs": {},
    }
    for name, run in RUNS.items():
        losses, norms, rates, first, final, rows = train(run, encoders, ids, torch.float32)
        exact = train(run, encoders, ids, torch.float64)
        noise = max(abs(a - b) for a, b in zip(losses, exact[0]))
        print(f"{name:18} {losses[0]:.6f} -> {losses[-1]:.6f}  norms {min(norms):.3f} to {max(norms):.3f}  noise {noise:.1e}")
        assert noise < 1e-4 and losses[-1] < losses[0]
        written["runs"][name] = {
            "setup": run,
            "losses": digits(losses, 8),
            "norms": digits(norms, 8),
            "learning_rates": digits(rates, 8),
            "noise": digits(noise, 2),
            "first_gradients": {n: digits(v, 8) for n, v in first.items()},
            "final": {n: digits(v, 8) for n, v in final.items()},
            "final_rows": {str(t): digits(v, 8) for t, v in rows.items()},
        }
    write_json(Path(data) / "losses.json", written, 4)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(sys.argv[1])
