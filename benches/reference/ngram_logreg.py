"""The reference for the default classifier: scikit-learn's TF-IDF (word 1-2, char_wb 3-5) and logistic regression.

usage: python ngram_logreg.py TRAIN.csv TEST.csv
prints: seconds accuracy macro-F1
"""
import csv
import sys
import time

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score
from sklearn.pipeline import make_union


def read(path):
    rows = list(csv.DictReader(open(path, encoding="utf-8")))
    return [r["dialogue"] for r in rows], [r["section_header"] for r in rows]


(train, y), (test, z) = read(sys.argv[1]), read(sys.argv[2])
start = time.perf_counter()
union = make_union(
    TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2),
    TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), sublinear_tf=True, min_df=2),
)
features = union.fit_transform(train)
model = LogisticRegression(C=20, class_weight="balanced", max_iter=1000).fit(features, y)
seconds = time.perf_counter() - start
guess = model.predict(union.transform(test))
print(seconds, accuracy_score(z, guess), f1_score(z, guess, average="macro"))
