"""What src/domain/agreement.rs is held to: run with `python tests/reference/agreement.py > tests/data/agreement.json`.

scikit-learn for Cohen's kappa, statsmodels for Fleiss' kappa and Wilson's interval, krippendorff for nominal alpha, nltk for
alpha with MASI distance, irrCAC for AC1; and every one of the 5^5 equally likely resamples of five patients for the bootstrap.
A rating is a set of categories as bits (0 is None), or null where the expert did not see the sentence.
"""
import itertools
import json
import sys
import warnings
from collections import Counter
from importlib.metadata import version

import krippendorff
import numpy as np
import pandas as pd
from irrCAC.raw import CAC
from nltk.metrics.agreement import AnnotationTask
from nltk.metrics.distance import masi_distance
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.inter_rater import aggregate_raters, fleiss_kappa
from statsmodels.stats.proportion import proportion_confint

warnings.simplefilter("ignore")
rng = np.random.default_rng(11)


def number(value):
    return None if value is None or not np.isfinite(value) else float(value)


def both(a, b):
    return [(x, y) for x, y in zip(a, b) if x is not None and y is not None]


def cohen(pairs):
    if not pairs:
        return None
    a, b = zip(*pairs)
    return number(cohen_kappa_score(a, b))


def overlapping(rows):
    return [item for item in zip(*rows) if sum(x is not None for x in item) > 1]


def nominal(items):
    """krippendorff takes numbers, and refuses what is undefined."""
    values = sorted({x for item in items for x in item if x is not None})
    if len(values) < 2:
        return None
    data = np.array([[np.nan if x is None else values.index(x) for x in item] for item in items]).T
    return number(krippendorff.alpha(reliability_data=data, level_of_measurement="nominal",
                                     value_domain=list(range(len(values)))))


def ac1(items, scale):
    if not items or len(scale) < 2:
        return None
    table = pd.DataFrame([[np.nan if x is None else float(x) for x in item] for item in items])
    cac = CAC(table, categories=[float(x) for x in scale], digits=15)
    return number(cac.gwet()["est"]["coefficient_value"])


def raw(items):
    shares = []
    for item in items:
        seen = [x for x in item if x is not None]
        pairs = list(itertools.combinations(seen, 2))
        shares.append(sum(a == b for a, b in pairs) / len(pairs))
    return float(np.mean(shares)) if shares else None


def fleiss(items):
    sizes = Counter(sum(x is not None for x in item) for item in items)
    if not sizes:
        return {"kappa": None, "raters": 0, "items": 0, "left_out": 0}
    raters = max(sizes, key=lambda n: (sizes[n], n))
    kept = [[x for x in item if x is not None] for item in items if sum(x is not None for x in item) == raters]
    table, _ = aggregate_raters(np.array(kept))
    return {"kappa": number(fleiss_kappa(table)) if table.shape[1] > 1 else None, "raters": raters,
            "items": len(kept), "left_out": len(items) - len(kept)}


def as_set(bits):
    return frozenset(i for i in range(64) if bits >> i & 1)


def masi(items):
    """nltk divides by zero for two empty sets; they are the same."""
    rows = [(rater, number, as_set(x)) for number, item in enumerate(items)
            for rater, x in enumerate(item) if x is not None]
    if len({label for _, _, label in rows}) < 2:
        return None
    distance = lambda a, b: masi_distance(a, b) if a or b else 0.0
    return number(AnnotationTask(rows, distance=distance).alpha())


def mean(values):
    values = [v for v in values if v is not None]
    return float(np.mean(values)) if values else None


def measures(rows, categories, multiple):
    items = overlapping(rows)
    shared = [(i, j, both(rows[i], rows[j])) for i, j in itertools.combinations(range(len(rows)), 2)]
    shared = [(i, j, pairs) for i, j, pairs in shared if pairs]
    used = sorted({x for item in items for x in item if x is not None})
    scale = used if multiple else [0] + [1 << i for i in range(categories)]
    classes = []
    for c in range(categories + 1):
        has = lambda x: None if x is None else int(x == 0 if c == 0 else x >> (c - 1) & 1)
        binary = [[has(x) for x in row] for row in rows]
        of = overlapping(binary)
        classes.append({
            "kappa": mean([cohen(both(binary[i], binary[j])) for i, j, _ in shared]),
            "alpha": nominal(of), "ac1": ac1(of, [0, 1]),
            "chosen": sum(x for item in of for x in item if x is not None),
            "items": sum(any(x for x in item) for item in of)})
    return {
        "items": len(items), "raw": raw(items), "alpha": nominal(items), "ac1": ac1(items, scale),
        "alpha_masi": masi(items) if multiple else None, "fleiss": fleiss(items),
        "kappa": mean([cohen(pairs) for _, _, pairs in shared]), "classes": classes,
        "pairs": [{"first": i, "second": j, "items": len(pairs), "raw": sum(a == b for a, b in pairs) / len(pairs),
                   "kappa": cohen(pairs)} for i, j, pairs in shared]}


def table(cells):
    """The ratings of two experts whose table this is."""
    pairs = [(1 << a, 1 << b) for a, row in enumerate(cells) for b, n in enumerate(row) for _ in range(n)]
    return [list(row) for row in zip(*pairs)]


def counts(rows):
    """The ratings whose counts by category these are."""
    items = [[1 << c for c, n in enumerate(row) for _ in range(n)] for row in rows]
    return [list(row) for row in zip(*items)]


FLEISS = [[0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1], [7, 7, 0, 0, 0],
          [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7]]
KRIPPENDORFF = ["* * * * * 3 4 1 2 1 1 3 3 * 3", "1 * 2 1 3 3 4 3 * * * * * * *", "* * 2 1 3 4 4 * 2 1 1 3 3 * 4"]


def noisy(truth, right, of, seen):
    """Experts who are right so often, else choose anything, and see so much."""
    return [[None if rng.random() > seen else int(t) if rng.random() < right else int(rng.choice(of)) for t in truth]
            for right in right]


single = [0, 1, 2, 4, 8]
sets = [0, 1, 2, 4, 3, 5, 6, 7]
cases = [
    ("two experts, 2 by 2", table([[20, 5], [10, 15]]), 2, False),
    ("two experts, 3 by 3", table([[9, 3, 1], [4, 8, 2], [2, 1, 6]]), 3, False),
    ("Fleiss' ten items of fourteen", counts(FLEISS), 5, False),
    ("Krippendorff's three with gaps",
     [[None if x == "*" else 1 << int(x) - 1 for x in row.split()] for row in KRIPPENDORFF], 4, False),
    ("four with gaps", noisy(rng.choice(single, 60, p=[0.5, 0.2, 0.15, 0.1, 0.05]), [0.9, 0.8, 0.6, 0.7], single, 0.7),
     4, False),
    ("a rare category", noisy(np.array([0] * 45 + [1, 1, 1, 2, 2]), [0.97, 0.95, 0.9], [0, 1], 1.0), 3, False),
    ("sets, with gaps", noisy(rng.choice(sets, 50, p=[0.4, 0.15, 0.15, 0.1, 0.08, 0.05, 0.04, 0.03]),
                              [0.8, 0.7, 0.6], sets, 0.85), 3, True),
    ("sets, two experts", noisy(rng.choice(sets, 30), [0.7, 0.7], sets, 1.0), 3, True),
    ("one label alone", [[1] * 6, [1] * 6, [1] * 6], 2, False),
    ("None alone", [[0] * 5, [0] * 5], 2, True),
    ("one expert with one label", [[0, 0, 0, 0, 0], [0, 1, 0, 2, 0]], 2, False),
    ("nobody beside another", [[0, 1, None, None], [None, None, 1, 0]], 2, False),
    ("one expert", [[0, 1, 2, 1]], 2, False),
]

patient = np.repeat(np.arange(5), 8)
bootstrapped = noisy(rng.choice([0, 1, 2], 40), [0.85, 0.75, 0.7], [0, 1, 2], 0.9)
drawn = []
for draw in itertools.product(range(5), repeat=5):
    at = np.concatenate([np.flatnonzero(patient == p) for p in draw])
    rows = [[row[i] for i in at] for row in bootstrapped]
    items = overlapping(rows)
    drawn.append([raw(items), nominal(items), cohen(both(rows[0], rows[1]))])


def points(values):
    return [float(x) for x in np.percentile(values, [2.5, 97.5])]


json.dump({
    "versions": {name: version(name) for name in ("scikit-learn", "statsmodels", "krippendorff", "nltk", "irrCAC")},
    "cases": [{"name": name, "rows": rows, "categories": categories, "multiple": multiple,
               **measures(rows, categories, multiple)} for name, rows, categories, multiple in cases],
    "masi": [{"one": a, "other": b, "distance": masi_distance(as_set(a), as_set(b))}
             for a in range(8) for b in range(8) if a or b],
    "wilson": [{"part": k, "whole": n, "interval": [float(x) for x in proportion_confint(k, n, method="wilson")]}
               for k, n in ((8, 10), (0, 10), (5, 5), (517, 1000))],
    "bootstrap": {"patient": patient.tolist(), "rows": bootstrapped, "what": "raw, alpha, kappa of the first two",
                  "intervals": [points([d[i] for d in drawn]) for i in range(3)]},
}, sys.stdout)
