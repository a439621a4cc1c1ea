"""Orders by small-text and numpy, for the tests of acquisition: python3 acquisition.py > ../data/acquisition.json

Made with small-text 1.4.1, numpy and scipy; everything random is seeded.
"""

import json

import numpy as np
import small_text
from small_text import BreakingTies, PredictionEntropy
from small_text.query_strategies.coresets import greedy_coreset


class Fixed:
    """A classifier that gives what it is given."""

    def predict_proba(self, dataset):
        return dataset


def scores(strategy, probabilities):
    return strategy.get_confidence(Fixed(), probabilities, None, None, None)


def greedy(probabilities, labels, value, weight, n):
    """Takes the row whose values, weighed by the labels of each output, come to most; its probabilities count as labels."""
    counts, took = np.array(labels, float), []
    for _ in range(n):
        worth = (value(probabilities) * weight(counts)).sum(axis=1)
        worth[took] = -1
        took.append(int(worth.argmax()))
        counts += probabilities[took[-1]]
    return took


random = np.random.default_rng(7)
logits = random.normal(0, 1.5, (120, 6)) + np.array([1.5, 0.5, 0, 0, -0.5, -1])
# Float32, since that is what a classifier here gives.
probabilities = (np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)).astype(np.float32)
probabilities = probabilities.astype(float)
labels = [40, 22, 9, 5, 2, 1]
sigmoids = (1 / (1 + np.exp(-random.normal(-1, 1.5, (80, 4))))).astype(np.float32).astype(float)
part = lambda p: np.where(p > 0, -p * np.log(p), 0)
points = random.normal(0, 1, (70, 5)).astype(np.float32).astype(float)
open_, known = np.arange(60), np.arange(60, 70)
margins = scores(BreakingTies(), probabilities)
entropies = scores(PredictionEntropy(), probabilities)
print(
    json.dumps(
        {
            "small_text": small_text.__version__,
            "probabilities": probabilities.tolist(),
            "margin": margins.tolist(),
            "by_margin": np.argsort(margins, kind="stable").tolist(),
            "entropy": entropies.tolist(),
            "by_entropy": np.argsort(-entropies, kind="stable").tolist(),
            "labels": labels,
            "balanced": greedy(probabilities, labels, lambda p: p * (1 - p), lambda n: 1 / np.sqrt(1 + n), 40),
            "minority": greedy(probabilities, labels, lambda p: p, lambda n: 1 / (1 + n), 40),
            "sigmoids": sigmoids.tolist(),
            "sigmoids_by_margin": np.argsort(np.abs(2 * sigmoids - 1).min(axis=1), kind="stable").tolist(),
            "sigmoids_by_entropy": np.argsort(
                -(part(sigmoids) + part(1 - sigmoids)).sum(axis=1), kind="stable"
            ).tolist(),
            "points": points[open_].tolist(),
            "known_points": points[known].tolist(),
            "k_center": [int(i) for i in greedy_coreset(points, open_, known, 25, distance_metric="euclidean")],
        },
        separators=(",", ":"),
    )
)
