"""What src/domain/comparison.rs is held to: run with `python tests/reference/comparison.py > tests/data/comparison.json`.

scikit-learn for the scores, statsmodels for McNemar and Holm, scipy for the mid-p, and every one of the 5^5 equally likely
resamples of five patients for the paired bootstrap. Two systems of two seeds label 40 sentences None or one of 3 categories.
"""
import itertools
import json
import sys

import numpy as np
import scipy
import sklearn
import statsmodels
from scipy.stats import binom
from sklearn.metrics import accuracy_score, precision_recall_fscore_support
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

rng = np.random.default_rng(7)
n, classes = 40, 4  # class 0 is None
patient = np.repeat(np.arange(5), 8)
gold = rng.integers(0, classes, n)
labels = {}
for system, right in (("first", 0.55), ("second", 0.7)):
    labels[system] = [np.where(rng.random(n) < right, gold, rng.integers(0, classes, n)) for _ in range(2)]


def scores(rows, predicted):
    """accuracy, then F1 of None and each category (nan where 0/0), then macro-F1 with nan as 0."""
    g, p = gold[rows], predicted[rows]
    f1 = precision_recall_fscore_support(g, p, labels=range(classes), average=None, zero_division=np.nan)[2]
    # scikit-learn's F1 is nan only where precision and recall both are; 2TP/(2TP+FP+FN) is 0/0 there alone too.
    return np.array([accuracy_score(g, p), *f1, np.nan_to_num(f1).mean()])


def of_system(rows, system):
    return np.array([scores(rows, predicted) for predicted in labels[system]])


whole = np.arange(n)
first, second = of_system(whole, "first"), of_system(whole, "second")
drawn = []
for draw in itertools.product(range(5), repeat=5):
    rows = np.concatenate([np.flatnonzero(patient == p) for p in draw])
    drawn.append((of_system(rows, "first").mean(axis=0), of_system(rows, "second").mean(axis=0),
                  (of_system(rows, "second") - of_system(rows, "first")).mean(axis=0)))
drawn = np.array(drawn)


def two_sided(d):
    d = np.where(np.abs(d) < 1e-12, 0, d)[~np.isnan(d)]
    # Never below what swapping whole patients could give: 2 of 2^5 ways.
    return float(max(2**-4, min(1, 2 * min(1 + (d <= 0).sum(), 1 + (d >= 0).sum()) / (len(d) + 1))))


def points(d):
    return [float(x) for x in np.nanpercentile(d, [2.5, 97.5])]


def test(b, c):
    table = [[0, b], [c, 0]]
    few = min(b, c)
    corrected = mcnemar(table, exact=False, correction=True)
    return {"b": b, "c": c, "exact": float(mcnemar(table, exact=True).pvalue),
            "mid_p": float(min(1, 2 * binom.cdf(few, b + c, 0.5) - binom.pmf(few, b + c, 0.5))),
            "chi2": float(corrected.statistic), "chi2_p": float(corrected.pvalue)}


ps = [0.01, 0.04, 0.03, 0.005, 0.8, 0.049]
json.dump({
    "versions": {m.__name__: m.__version__ for m in (np, scipy, sklearn, statsmodels)},
    "mcnemar": [test(b, c) for b, c in ((15, 5), (121, 59), (3, 3), (0, 7), (40, 0), (700, 800))],
    "holm": {"p": ps, "corrected": [float(x) for x in multipletests(ps, method="holm")[1]]},
    "patient": patient.tolist(), "gold": gold.tolist(),
    "first": [x.tolist() for x in labels["first"]], "second": [x.tolist() for x in labels["second"]],
    "scores": "accuracy, F1 of None and of 3 categories, macro-F1",
    "mean": second.mean(axis=0).tolist(), "deviation": second.std(axis=0, ddof=1).tolist(),
    "interval": [points(drawn[:, 1, i]) for i in range(6)],
    "difference": (second - first).mean(axis=0).tolist(),
    "difference_interval": [points(drawn[:, 2, i]) for i in range(6)],
    "p": [two_sided(drawn[:, 2, i]) for i in range(6)],
}, sys.stdout, indent=1)
print()
