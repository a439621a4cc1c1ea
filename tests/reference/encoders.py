"""Tiny random encoders of the families that goldsmith reads, and what transformers computes with them.

usage: python encoders.py DATA
writes: DATA/encoders/NAME/, one folder each as `save_pretrained` writes it, and DATA/encoders/expected.json

bert, distilbert, modernbert      encoders without a head
bert-bin                          bert's weights as `pytorch_model.bin`
bert-bin-hub                      the same as older files on the hub have them: names under `bert.`, layer norms with gamma and
                                  beta, a buffer of positions, the heads of pretraining
bert-classifier, ...              for sequence classification, three labels
modernbert/config.hub.json        the same configuration in the keys of ModernBERT's files on the hub

Every parameter is random, biases and layer norms too, so that none can be left out unnoticed. Dropout is 0 throughout.
All numbers are f32 with 7 digits, made in eval mode with eager attention, one text at a time; that padding a batch changes
nothing is asserted here. `first` and `last` are rows of the last hidden state, `mean` is its mean over all of a text's
tokens, [CLS] and [SEP] included. Texts are cut to 64 tokens, these two included. ModernBERT's `local_attention` 8 lets a
position see those at a distance of at most 4. Its classifier's configuration says mean pooling, as the hub's does;
`logits_cls` are what the same weights give with `classifier_pooling` "cls".
"""
import json
import shutil
import sys
from pathlib import Path

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    DistilBertModel,
    ModernBertConfig,
    ModernBertForSequenceClassification,
    ModernBertModel,
    PreTrainedTokenizerFast,
)

POSITIONS = 64
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LETTERS = list("abcdefghijklmnopqrstuvwxyz")
WORDS = (
    "the a he she is was not no and to of in with her his patient memory recall name keys wife daughter lost forgot home "
    "walk talk mood calm good poor date test exam pain fell sleep night day asks again"
).split()
PIECES = ["ing", "ed", "er", "ly", "tion", "es"]
VOCABULARY = SPECIAL + list(".,;:?!-'/") + list("0123456789") + LETTERS + ["##" + x for x in LETTERS + PIECES] + WORDS

TEXTS = [
    "She forgot the name of her daughter again.",
    "",
    "Élan: he is CALM, mood good; the \u03a9-test (\u4e2d) was \U0001f642 no-good?",
    "Walks.",
    "The patient was not talking to his wife in the night, lost keys and forgot the date; the recall test was poor, she asks "
    "again and again, he fell on the 12th day and was sleepy, with no pain, and the exam of memory was good with her name "
    "and the home, but not with the walk.",
]
LABELS = ["recall", "mood", "other"]


def tokenizer():
    made = Tokenizer(models.WordPiece({t: i for i, t in enumerate(VOCABULARY)}, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.decoder = decoders.WordPiece()
    cls, sep = VOCABULARY.index("[CLS]"), VOCABULARY.index("[SEP]")
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", cls), ("[SEP]", sep)]
    )
    named = {f"{t[1:-1].lower()}_token": t for t in SPECIAL}
    return PreTrainedTokenizerFast(
        tokenizer_object=made, model_max_length=POSITIONS, model_input_names=["input_ids", "attention_mask"], **named
    )


def save(model, words, folder):
    model.save_pretrained(folder)
    words.save_pretrained(folder)
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    settings["tokenizer_class"] = "PreTrainedTokenizerFast"  # the name that every version of transformers knows
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n")


def configurations():
    sizes = dict(vocab_size=len(VOCABULARY), max_position_embeddings=POSITIONS, initializer_range=0.2)
    tokens = dict(pad_token_id=0, cls_token_id=2, sep_token_id=3, bos_token_id=2, eos_token_id=3)
    return {
        "bert": BertConfig(
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=64,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
            **sizes,
        ),
        "distilbert": DistilBertConfig(
            dim=32,
            n_layers=2,
            n_heads=4,
            hidden_dim=64,
            dropout=0.0,
            attention_dropout=0.0,
            seq_classif_dropout=0.0,
            **sizes,
        ),
        "modernbert": ModernBertConfig(
            hidden_size=32,
            num_hidden_layers=4,
            num_attention_heads=4,
            intermediate_size=24,
            local_attention=8,
            classifier_pooling="mean",
            **sizes,
            **tokens,
        ),
    }


ENCODER = {"bert": BertModel, "distilbert": DistilBertModel, "modernbert": ModernBertModel}
CLASSIFIER = {
    "bert": BertForSequenceClassification,
    "distilbert": DistilBertForSequenceClassification,
    "modernbert": ModernBertForSequenceClassification,
}


def random(kind, config, seed):
    """A model with every parameter random; spread 0.2 around 1 for the weights of layer norms, around 0 for all others."""
    torch.manual_seed(seed)
    model = kind._from_config(config, attn_implementation="eager").eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim == 1:
                parameter.normal_(1.0 if name.endswith("weight") else 0.0, 0.2)
    return model


def digits(tensor, count=7):
    if isinstance(tensor, torch.Tensor):
        tensor = tensor.tolist()
    return [digits(x, count) for x in tensor] if isinstance(tensor, list) else float(f"{tensor:.{count}g}")


def write_json(path, value, depth=3):
    """Objects one key a line down to a depth, everything below on one line."""

    def text(value, level):
        if isinstance(value, dict) and level < depth:
            pad = " " * (level + 1)
            lines = ",\n".join(f"{pad}{json.dumps(k)}: {text(v, level + 1)}" for k, v in value.items())
            return "{\n" + lines + "\n" + " " * level + "}"
        return json.dumps(value, separators=(", ", ": "))

    path.write_text(text(value, 0) + "\n", encoding="utf-8")


def hub_config(config):
    """ModernBERT's configuration in the keys that its files on the hub have."""
    saved = {k: v for k, v in config.to_dict().items() if k not in ("layer_types", "rope_parameters", "attn_implementation")}
    return saved | {"global_attn_every_n_layers": 3, "global_rope_theta": 160000.0, "local_rope_theta": 10000.0}


def hub_weights(state):
    old = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
    renamed = {}
    for name, tensor in state.items():
        for new, gamma in old.items():
            name = name.replace(new, gamma)
        renamed["bert." + name] = tensor
    renamed["bert.embeddings.position_ids"] = torch.arange(POSITIONS).unsqueeze(0)
    renamed["cls.predictions.bias"] = torch.zeros(len(VOCABULARY))
    renamed["cls.seq_relationship.bias"] = torch.zeros(2)
    return renamed


@torch.inference_mode()
def main(data):
    folder = Path(data) / "encoders"
    shutil.rmtree(folder, ignore_errors=True)
    words = tokenizer()
    ids = [words(t, truncation=True)["input_ids"] for t in TEXTS]
    assert max(map(len, ids)) == POSITIONS and len(words(TEXTS[-1])["input_ids"]) > POSITIONS and words.unk_token_id in ids[2]
    padded = words(TEXTS, truncation=True, padding=True, return_tensors="pt")
    expected = {
        "made_by": f"tests/reference/encoders.py, torch {torch.__version__.split('+')[0]}, transformers {transformers.__version__}",
        "texts": TEXTS,
        "ids": ids,
        "untruncated": len(words(TEXTS[-1])["input_ids"]),
    }

    for seed, (name, config) in enumerate(configurations().items(), 1):
        model = random(ENCODER[name], config, seed)
        rows = [model(torch.tensor([x])).last_hidden_state[0] for x in ids]
        batch = model(**padded).last_hidden_state
        for row, together in zip(rows, batch):
            torch.testing.assert_close(row, together[: len(row)], atol=2e-5, rtol=0)
        here = {"first": [r[0] for r in rows], "last": [r[-1] for r in rows], "mean": [r.mean(0) for r in rows]}
        expected[name] = {key: [digits(v) for v in value] for key, value in here.items()}
        save(model, words, folder / name)
        if name == "bert":
            for other, state in {"bert-bin": model.state_dict(), "bert-bin-hub": hub_weights(model.state_dict())}.items():
                shutil.copytree(folder / name, folder / other, ignore=shutil.ignore_patterns("*.safetensors"))
                torch.save(state, folder / other / "pytorch_model.bin")
        if name == "modernbert":
            hub = folder / name / "config.hub.json"
            hub.write_text(json.dumps(hub_config(config), indent=2) + "\n")
            again = ModernBertConfig.from_json_file(hub)
            assert again.layer_types == config.layer_types and again.rope_parameters == config.rope_parameters
            assert {"full_attention", "sliding_attention"} == set(config.layer_types)
            config.local_attention = 2 * POSITIONS
            wide = random(ENCODER[name], config, seed)(torch.tensor([ids[-1]])).last_hidden_state[0]
            assert (wide - rows[-1]).abs().max() > 0.1, "the window must matter"

    for seed, (name, config) in enumerate(configurations().items(), 11):
        config.id2label = dict(enumerate(LABELS))
        config.label2id = {label: i for i, label in enumerate(LABELS)}
        config.problem_type = "single_label_classification"
        model = random(CLASSIFIER[name], config, seed)
        logits = [digits(model(torch.tensor([x])).logits[0]) for x in ids]
        torch.testing.assert_close(torch.tensor(logits), model(**padded).logits, atol=5e-5, rtol=0)
        expected[f"{name}-classifier"] = {"labels": LABELS, "logits": logits}
        save(model, words, folder / f"{name}-classifier")
        if name == "modernbert":
            model.config.classifier_pooling = "cls"
            expected[f"{name}-classifier"]["logits_cls"] = [digits(model(torch.tensor([x])).logits[0]) for x in ids]

    for name in ("bert-bin", "bert-bin-hub"):
        again = BertModel.from_pretrained(folder / name, attn_implementation="eager").eval()
        close = digits(again(torch.tensor([ids[0]])).last_hidden_state[0, 0])
        assert max(abs(a - b) for a, b in zip(close, expected["bert"]["first"][0])) < 1e-5, name

    write_json(folder / "expected.json", expected, 2)
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            size = sum(f.stat().st_size for f in path.iterdir())
            assert size < 150_000, f"{path} {size}"
            print(f"{path.name:24} {size:7}  {' '.join(sorted(f.name for f in path.iterdir()))}")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(sys.argv[1])
