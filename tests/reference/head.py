"""Logistic regression on a frozen encoder's embeddings, by scikit-learn.

usage: python head.py DATA    (after encoders.py DATA)
writes: DATA/head.json

Embeddings: mean of the tiny bert's last hidden state over a text's tokens, scaled to length 1. The examples are those of
losses.py, with the first label of each.
"""
import json
import sys
from pathlib import Path

import torch
from losses import EXAMPLES
from sklearn.linear_model import LogisticRegression
from transformers import AutoModel, AutoTokenizer

data = Path(sys.argv[1])
words, model = (x.from_pretrained(data / "encoders/bert") for x in (AutoTokenizer, AutoModel))
rows = []
for text, _, _ in EXAMPLES:
    with torch.no_grad():
        mean = model.eval()(**words(text, return_tensors="pt")).last_hidden_state[0].mean(0)
    rows.append((mean / mean.norm()).numpy())
labels = [labels[0] for _, labels, _ in EXAMPLES]
head = LogisticRegression(C=2.0, class_weight="balanced", tol=1e-8, max_iter=10_000).fit(rows, labels)
examples = [[text, label] for (text, _, _), label in zip(EXAMPLES, labels)]
found = [[round(float(p), 6) for p in row] for row in head.predict_proba(rows)]
(data / "head.json").write_text(json.dumps({"made_by": "tests/reference/head.py", "examples": examples, "probabilities": found}))
