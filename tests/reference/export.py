"""What transformers makes of a folder that goldsmith exported: logits, and the scores of its text-classification pipeline.

usage: python export.py FOLDER TEXTS.json    (a list of texts)
prints: {"labels": [...], "problem_type": ..., "logits": [[...]], "scores": [[...]]}, the columns in the order of `labels`
fails: where the folder does not load as it is, its labels do not fit, or a batch with padding differs from its texts alone
"""
import json
import os
import sys

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, logging, pipeline

logging.disable_progress_bar()
logging.set_verbosity_error()
torch.set_num_threads(1)
folder, texts = sys.argv[1], json.load(open(sys.argv[2], encoding="utf-8"))
words = AutoTokenizer.from_pretrained(folder)
model, loading = AutoModelForSequenceClassification.from_pretrained(folder, output_loading_info=True)
model.eval()
for problem in ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs"):
    assert not loading.get(problem), f"{problem}: {loading[problem]}"

config = model.config
labels = [config.id2label[i] for i in range(config.num_labels)]
assert set(config.id2label) == set(range(len(labels))), f"id2label has the keys {list(config.id2label)}"
assert config.label2id == {label: i for i, label in enumerate(labels)}, f"label2id is {config.label2id}"
assert config.problem_type in ("single_label_classification", "multi_label_classification"), config.problem_type

cut = dict(truncation=True, max_length=min(words.model_max_length, config.max_position_embeddings))
with torch.inference_mode():
    logits = torch.cat([model(**words(text, return_tensors="pt", **cut)).logits for text in texts])
    together = model(**words(texts, padding=True, return_tensors="pt", **cut)).logits
assert logits.shape == (len(texts), len(labels)), f"logits have the shape {list(logits.shape)}"
torch.testing.assert_close(together, logits, atol=1e-4, rtol=0)

classify = pipeline("text-classification", model=folder, tokenizer=folder, top_k=None, device="cpu")
scores = []
for found in classify(texts, **cut):
    of = {x["label"]: x["score"] for x in found}
    assert set(of) == set(labels), f"the pipeline speaks of {sorted(of)}"
    scores.append([of[label] for label in labels])
own = logits.softmax(-1) if config.problem_type.startswith("single") else logits.sigmoid()
torch.testing.assert_close(torch.tensor(scores), own, atol=1e-5, rtol=0)
print(json.dumps({"labels": labels, "problem_type": config.problem_type, "logits": logits.tolist(), "scores": scores}))
