"""The reference for speed: PyTorch and transformers, fine-tuning or predicting the same batches in the same order.

usage: python torch_speed.py INPUT.json
INPUT: {"batches": [[[token ids], ...], ...], "labels": [[0, ...], ...], "model": DIR, "outputs": K, "threads": T,
        "mode": "train" or "infer", "dtype": "fp32" or "bf16", "heap": true or false}
prints: one JSON line; `seconds` are of the clock, `cpu_seconds` of the process (of use on a busy machine with one thread),
        `tokens` without padding, `loss` the mean over the timed batches

usage: python torch_speed.py --make sentences|dialogues MTS-DIALOG ENCODER COUNT
prints: such an INPUT's batches and labels, of 16, made of the training set; sentences are those of section_text of 12 to 60
        tokens (about 30 in the mean), dialogues are cut to 256 tokens; sorted by length within stretches of 16 batches

What a fair user would set: scaled dot product attention, inference mode, fused AdamW (where there is one), each batch padded to
its longest, and by `dtype` autocast to bf16. `heap` keeps freed memory in the process instead of giving it back to the kernel
at every step (glibc's thresholds, by the environment, so the program starts itself anew): faster, but nobody's default, so print
both. Three batches are run before the clock starts.
"""
import csv
import json
import os
import random
import re
import sys
import time

HEAP = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(1 << 40), "MALLOC_TOP_PAD_": str(64 << 20)}
WARM, BATCH, STRETCH = 3, 16, 16


def make(kind, folder, encoder, count):
    from transformers import AutoTokenizer

    words = AutoTokenizer.from_pretrained(encoder)
    words.backend_tokenizer.no_truncation()
    words.backend_tokenizer.no_padding()
    rows = list(csv.DictReader(open(f"{folder}/MTS-Dialog-TrainingSet.csv", encoding="utf-8")))
    headers = sorted({r["section_header"] for r in rows})
    found = []
    for row in rows:
        if kind == "sentences":
            texts = re.split(r"(?<=[.?!])\s+", row["section_text"])
            kept = [x for x in words(texts)["input_ids"] if 12 <= len(x) <= 60]
        else:
            ids = words(row["dialogue"])["input_ids"]
            kept = [ids if len(ids) <= 256 else ids[:255] + ids[-1:]]
        found += [(x, headers.index(row["section_header"])) for x in kept]
    dice = random.Random(1)
    if kind == "sentences":  # as many long ones as it takes for a mean of 30
        found = sorted(found, key=lambda x: -len(x[0]))
        while sum(len(x) for x, _ in found) < 30 * len(found):
            found.pop()
    dice.shuffle(found)
    found = found[:count]
    batches = []
    for start in range(0, len(found), BATCH * STRETCH):
        stretch = sorted(found[start : start + BATCH * STRETCH], key=lambda x: len(x[0]))
        batches += [stretch[i : i + BATCH] for i in range(0, len(stretch), BATCH)]
    dice.shuffle(batches)
    print(json.dumps({"batches": [[x for x, _ in b] for b in batches], "labels": [[y for _, y in b] for b in batches]}))


def main(given):
    import torch
    from transformers import AutoModelForSequenceClassification, logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.set_num_threads(given["threads"])
    torch.manual_seed(1)
    model = AutoModelForSequenceClassification.from_pretrained(
        given["model"], num_labels=given["outputs"], attn_implementation="sdpa", ignore_mismatched_sizes=True
    )

    def padded(ids):
        longest = max(map(len, ids))
        filled = torch.tensor([x + [0] * (longest - len(x)) for x in ids])
        return {
            "input_ids": filled,
            "attention_mask": torch.tensor([[1] * len(x) + [0] * (longest - len(x)) for x in ids]),
        }

    ready = [(padded(b), torch.tensor(y)) for b, y in zip(given["batches"], given["labels"])]
    cast = lambda: torch.autocast("cpu", torch.bfloat16, enabled=given["dtype"] == "bf16")
    if given["mode"] == "train":
        model.train()
        groups = [
            {"params": [p for p in model.parameters() if p.ndim > 1], "weight_decay": 0.01},
            {"params": [p for p in model.parameters() if p.ndim < 2], "weight_decay": 0.0},
        ]
        try:
            optimizer = torch.optim.AdamW(groups, lr=5e-5, fused=True)
        except RuntimeError:
            optimizer = torch.optim.AdamW(groups, lr=5e-5, foreach=True)

        def step(batch, labels):
            with cast():
                loss = torch.nn.functional.cross_entropy(model(**batch).logits.float(), labels)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            return loss.item()

    else:
        model.eval()

        def step(batch, labels):
            with torch.inference_mode(), cast():
                logits = model(**batch).logits.float()
                return torch.nn.functional.cross_entropy(logits, labels).item()

    for batch, labels in ready[:WARM]:
        step(batch, labels)
    start, cpu = time.perf_counter(), time.process_time()
    losses = [step(batch, labels) for batch, labels in ready]
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    line = {
        "seconds": round(seconds, 4),
        "cpu_seconds": round(cpu, 4),
        "sentences": sum(map(len, given["batches"])),
        "tokens": sum(len(x) for b in given["batches"] for x in b),
        "loss": round(sum(losses) / len(losses), 5),
    }
    print(json.dumps(line | {k: given.get(k, False) for k in ("mode", "dtype", "threads", "heap")}))


if __name__ == "__main__":
    if sys.argv[1] == "--make":
        make(sys.argv[2], sys.argv[3], sys.argv[4], int(sys.argv[5]))
    else:
        given = json.load(open(sys.argv[1]))
        if given.get("heap") and any(os.environ.get(k) != v for k, v in HEAP.items()):
            os.execve(sys.executable, [sys.executable] + sys.argv, os.environ | HEAP)
        main(given)
