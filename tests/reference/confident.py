"""Label issues by cleanlab, for the tests of confident learning: python3 confident.py > ../data/confident.json

Made with cleanlab 2.9.0 and numpy; everything random is seeded.
"""

import json

import cleanlab
import numpy as np
from cleanlab.count import compute_confident_joint, get_confident_thresholds
from cleanlab.filter import find_label_issues
from cleanlab.internal.multilabel_scorer import ClassLabelScorer, MultilabelScorer, get_label_quality_scores as of_sets
from cleanlab.internal.multilabel_utils import get_onehot_num_classes
from cleanlab.multilabel_classification.filter import find_multilabel_issues_per_class
from cleanlab.rank import get_label_quality_scores


def single(name, labels, probabilities):
    labels, probabilities = np.array(labels), np.array(probabilities)
    scores = lambda method: get_label_quality_scores(labels, probabilities, method=method).tolist()
    issues = find_label_issues(
        labels, probabilities, filter_by="confident_learning", return_indices_ranked_by="self_confidence"
    )
    return {
        "name": name,
        "labels": labels.tolist(),
        "probabilities": probabilities.tolist(),
        "thresholds": get_confident_thresholds(labels, probabilities).tolist(),
        "joint": compute_confident_joint(labels, probabilities, calibrate=False).tolist(),
        "issues": issues.tolist(),
        "self_confidence": scores("self_confidence"),
        "margin": scores("normalized_margin"),
    }


def multiple(name, labels, probabilities):
    probabilities = np.array(probabilities)
    hot, _ = get_onehot_num_classes(labels, probabilities)
    issues = find_label_issues(
        labels,
        probabilities,
        filter_by="confident_learning",
        return_indices_ranked_by="self_confidence",
        multi_label=True,
        n_jobs=1,
    )
    of_category = find_multilabel_issues_per_class(labels, probabilities, filter_by="confident_learning", n_jobs=1)
    scores = of_sets(hot, probabilities, method=MultilabelScorer(base_scorer=ClassLabelScorer.SELF_CONFIDENCE))
    return {
        "name": name,
        "labels": labels,
        "probabilities": probabilities.tolist(),
        "issues": issues.tolist(),
        "of_category": [np.flatnonzero(column).tolist() for column in of_category.T],
        "self_confidence": scores.tolist(),
    }


def noisy(random, rows, classes, used, noise):
    """Rows of softmax probabilities that lean to a true class, and labels of which some are of another class."""
    true = random.integers(0, used, rows)
    logits = random.normal(0, 1.2, (rows, classes))
    logits[np.arange(rows), true] += 2.0
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = np.where(random.random(rows) < noise, random.integers(0, used, rows), true)
    return labels, probabilities.round(6)


random = np.random.default_rng(20)
golden = [
    [0.8, 0.15, 0.05], [0.7, 0.2, 0.1], [0.1, 0.85, 0.05], [0.2, 0.75, 0.05],
    [0.15, 0.8, 0.05], [0.05, 0.05, 0.9], [0.1, 0.2, 0.7], [0.3, 0.3, 0.4],
]  # fmt: skip
sets = 400
hot = random.random((sets, 4)) < [0.35, 0.1, 0.2, 0.02]
logits = random.normal(0, 1.5, (sets, 4)) + np.where(hot, 2.0, -2.0)
flipped = hot ^ (random.random((sets, 4)) < 0.06)
print(
    json.dumps(
        {
            "cleanlab": cleanlab.__version__,
            "single": [
                single("by hand", [0, 0, 0, 1, 1, 2, 2, 2], golden),
                single("ten classes", *noisy(random, 600, 10, 10, 0.15)),
                single("a class without items", *noisy(random, 200, 4, 3, 0.2)),
            ],
            "multiple": [
                multiple(
                    "four categories",
                    [np.flatnonzero(row).tolist() for row in flipped],
                    (1 / (1 + np.exp(-logits))).round(6),
                )
            ],
        },
        separators=(",", ":"),
    )
)
