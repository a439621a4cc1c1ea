"""small-text's breaking ties on features of our making, beside random sampling: python3 breaking_ties.py FOLDER BATCH SHARE

FOLDER holds train.npy and test.npy (features, a row for each text), and set.json with the labels of both as numbers and the
rows that each seed starts from. Prints for each seed the labels until macro-F1 first reaches SHARE of that of all labels, for
random sampling and for breaking ties. The classifier is scikit-learn's LogisticRegression (C 20, balanced), as ours is.
"""

import json
import sys
import warnings

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from small_text import (
    BreakingTies,
    PoolBasedActiveLearner,
    RandomSampling,
    SklearnClassifierFactory,
    SklearnDataset,
)

warnings.filterwarnings("ignore")
folder, batch, share = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
train, test = np.load(f"{folder}/train.npy"), np.load(f"{folder}/test.npy")
known = json.load(open(f"{folder}/set.json"))
labels, truth, starts = np.array(known["train"]), np.array(known["test"]), known["starts"]
classes = np.arange(max(labels.max(), truth.max()) + 1)


class Logistic(BaseEstimator):
    """Logistic regression that gives classes without a label the probability 0, where scikit-learn leaves them out."""

    def fit(self, x, y, sample_weight=None):
        self.inner = LogisticRegression(C=20, class_weight="balanced", max_iter=1000).fit(x, y)
        return self

    def predict_proba(self, x):
        probabilities = np.zeros((x.shape[0], len(classes)))
        probabilities[:, self.inner.classes_] = self.inner.predict_proba(x)
        return probabilities


def macro_f1(classifier):
    said = classifier.predict(SklearnDataset(test, truth, target_labels=classes))
    return f1_score(truth, said, average="macro", zero_division=0)


pool = SklearnDataset(train, labels, target_labels=classes)
factory = SklearnClassifierFactory(Logistic(), len(classes))
whole = factory.new()
whole.fit(pool)
full = macro_f1(whole)
needed = {"random": [], "breaking ties": []}
for seed, start in enumerate(starts):
    for name, strategy in (("random", RandomSampling()), ("breaking ties", BreakingTies())):
        np.random.seed(seed)
        learner = PoolBasedActiveLearner(factory, strategy, pool)
        taken = np.array(start)
        learner.initialize_data(taken, labels[taken])
        while macro_f1(learner.classifier) < share * full and len(taken) < len(labels):
            asked = learner.query(num_samples=min(batch, len(labels) - len(taken)))
            learner.update(labels[asked])
            taken = np.concatenate([taken, asked])
        needed[name].append(len(taken))
print(json.dumps({"full": full, "needed": needed}))
