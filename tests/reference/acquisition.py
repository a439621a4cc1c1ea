"""Orders by small-text and numpy, for the tests of acquisition: python3 acquisition.py > ../data/acquisition.json

Made with small-text 1.4.1, numpy and scipy; everything random is seeded.
"""

import json

import numpy as np
import small_text
from small_text import BreakingTies


class Fixed:
    """A classifier that gives what it is given."""

    def predict_proba(self, dataset):
        return dataset


def scores(strategy, probabilities):
    return strategy.get_confidence(Fixed(), probabilities, None, None, None)


def greedy(probabilities, labels, value, weight, n):
    """Takes the row whose values, weighed by the labels of each output, come to most; its probabilities count as labels."""
    counts, took, values = np.array(labels, float), [], value(probabilities)
    for _ in range(n):
        worth = (values * weight(counts)).sum(axis=1)
        worth[took] = -1
        took.append(int(worth.argmax()))
        counts += probabilities[took[-1]]
    return took


def habits(holds, said, everywhere, k, start=2.0, right=0.5):
    """P(said | holds) by counts, smoothed towards: half right, half what silver says anyway."""
    shares = np.bincount(everywhere, minlength=k) + 1 / k
    counts = np.zeros((k, k))
    np.add.at(counts, (holds, said), 1)
    counts += start * (right * np.eye(k) + (1 - right) * shares / shares.sum())
    return counts / counts.sum(axis=1, keepdims=True)


def together(prior, labels, likelihood, said):
    """Bayes' rule, row by row; the prior is mixed with one label that may be anything."""
    joint = (labels * prior + 1 / prior.shape[1]) / (labels + 1) * likelihood[:, said].T
    return joint / joint.sum(axis=1, keepdims=True)


def lead(p, q):
    """What is to be expected of how far that which holds is ahead of the likeliest of the others."""
    rivals = np.stack([np.delete(p, output, axis=1).max(axis=1) for output in range(p.shape[1])], axis=1)
    return (q * (p - rivals)).sum(axis=1)


random = np.random.default_rng(7)
logits = random.normal(0, 1.5, (120, 6)) + np.array([1.5, 0.5, 0, 0, -0.5, -1])
# Float32, since that is what a classifier here gives.
probabilities = (np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)).astype(np.float32)
probabilities = probabilities.astype(float)
labels = [40, 22, 9, 5, 2, 1]
sigmoids = (1 / (1 + np.exp(-random.normal(-1, 1.5, (80, 4))))).astype(np.float32).astype(float)
random.normal(0, 1, (70, 5))  # Once points; drawn so that what follows stays what it was.
# Silver speaks on the first ninety sentences, and is right on the labelled ones by rates of its own.
truth = np.repeat(np.arange(6), labels)
says = random.dirichlet(np.full(6, 0.4), 6) * 0.4 + np.eye(6)[[0, 1, 2, 0, 4, 5]] * 0.6
silver_of_labels = np.array([random.choice(6, p=says[y]) for y in truth])
silver = np.array([random.choice(6, p=says[random.choice(6, p=p / p.sum())]) for p in probabilities[:90]])
belief = probabilities.copy()
everywhere = np.concatenate([silver, silver_of_labels])
belief[:90] = together(probabilities[:90], len(truth), habits(truth, silver_of_labels, everywhere, 6), silver)
# Where any may hold, each output's yes and no by itself.
holds = random.random((50, 4)) < [0.5, 0.3, 0.2, 0.1]
said_of_labels = np.where(random.random((50, 4)) < 0.75, holds, ~holds)
said = random.random((80, 4)) < sigmoids
sigmoid_belief = np.stack(
    [
        together(
            np.stack([1 - sigmoids[:, i], sigmoids[:, i]], axis=1),
            len(holds),
            habits(*(x[:, i].astype(int) for x in (holds, said_of_labels, np.concatenate([said, said_of_labels]))), 2),
            said[:, i].astype(int),
        )[:, 1]
        for i in range(4)
    ],
    axis=1,
)
sets = lambda rows: [np.flatnonzero(row).tolist() for row in rows]
missed = lambda q: q * (1 - probabilities)
margins = scores(BreakingTies(), probabilities)
print(
    json.dumps(
        {
            "small_text": small_text.__version__,
            "probabilities": probabilities.tolist(),
            "margin": margins.tolist(),
            "by_margin": np.argsort(margins, kind="stable").tolist(),
            "labels": labels,
            "balanced": greedy(probabilities, labels, lambda p: p * (1 - p), lambda n: 1 / np.sqrt(1 + n), 40),
            "silver_of_labels": silver_of_labels.tolist(),
            "silver": silver.tolist(),
            "belief": belief.tolist(),
            "contested": np.argsort(lead(probabilities, belief), kind="stable").tolist(),
            "balanced_with_silver": greedy(belief, labels, missed, lambda n: 1 / np.sqrt(1 + n), 40),
            "sigmoids": sigmoids.tolist(),
            "sigmoid_labels": sets(holds),
            "sigmoid_silver_of_labels": sets(said_of_labels),
            "sigmoid_silver": sets(said),
            "sigmoid_belief": sigmoid_belief.tolist(),
            "sigmoids_contested": np.argsort(
                ((2 * sigmoid_belief - 1) * (2 * sigmoids - 1)).min(axis=1), kind="stable"
            ).tolist(),
            "sigmoids_by_margin": np.argsort(np.abs(2 * sigmoids - 1).min(axis=1), kind="stable").tolist(),
        },
        separators=(",", ":"),
    )
)
