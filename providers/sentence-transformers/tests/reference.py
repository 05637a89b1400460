#!/usr/bin/env python3
"""Writes what `tests/agreement.rs` compares with: small models of every known kind, made of random numbers by `transformers`, and what
`sentence-transformers` computes with them and with the demo models.

It was run once, with the versions that the fixture names:

    python3 -m venv venv && venv/bin/pip install sentence-transformers
    cargo run -p puna-provider-sentence-transformers --example demo_models -- demo
    venv/bin/python providers/sentence-transformers/tests/reference.py demo providers/sentence-transformers/tests/fixtures
"""

import json
import shutil
import sys
from pathlib import Path

import sentence_transformers
import torch
import transformers
from safetensors.torch import load_file, save_file
from sentence_transformers import CrossEncoder, SentenceTransformer

TEXTS = [
    "Hello!",
    "Llamas live in the puna, the high grassland of the Andes.",
    "llamas live on the Altiplano",
    "Rust is a programming language.",
    "The wind comes down from the snow in the evening, and the animals lie close to each other. " * 3,
    "a",
]
QUERY = "Where do llamas live?"

WIDTH, HEADS, LAYERS, WIDE, POSITIONS = 16, 2, 2, 32, 150

WORDS = """llama alpaca puna live in the of high grass ##land land ##s wind snow evening where do rust is a program ##ming language hello
and an ##imals lie close to each other down from comes on altiplano andes ! . , ?""".split()
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def word_piece(cls, sep, pad, unk, mask, order):
    """A tokenizer in the manner of BERT; the special tokens have their numbers from `order`."""
    special = {"cls": cls, "sep": sep, "pad": pad, "unk": unk, "mask": mask}
    vocabulary = [special[name] for name in order] + WORDS + list(LETTERS) + [f"##{letter}" for letter in LETTERS]
    vocabulary = {token: number for number, token in enumerate(dict.fromkeys(vocabulary))}
    tokenizer = tokenizers_of(vocabulary, unk)
    from tokenizers.processors import TemplateProcessing

    ids = [(name, vocabulary[name]) for name in (cls, sep)]
    if cls == "[CLS]":
        pair = f"{cls} $A {sep} $B:1 {sep}:1"
    else:
        pair = f"{cls} $A {sep} {sep} $B {sep}"
    tokenizer.post_processor = TemplateProcessing(single=f"{cls} $A {sep}", pair=pair, special_tokens=ids)
    # What published models often carry along, and what must not matter.
    tokenizer.enable_truncation(max_length=20)
    tokenizer.enable_padding(length=24, pad_id=vocabulary[pad], pad_token=pad)
    names = ["input_ids", "token_type_ids", "attention_mask"] if cls == "[CLS]" else ["input_ids", "attention_mask"]
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        cls_token=cls,
        sep_token=sep,
        pad_token=pad,
        unk_token=unk,
        mask_token=mask,
        bos_token=cls,
        eos_token=sep,
        model_input_names=names,
    )


def tokenizers_of(vocabulary, unk):
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token=unk))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer


def bert_tokenizer():
    return word_piece("[CLS]", "[SEP]", "[PAD]", "[UNK]", "[MASK]", ["pad", "unk", "cls", "sep", "mask"])


def roberta_tokenizer():
    return word_piece("<s>", "</s>", "<pad>", "<unk>", "<mask>", ["cls", "pad", "sep", "unk", "mask"])


def save(folder, model, tokenizer, randomize=0.35):
    """A folder as transformers writes it; its numbers are spread, so that every part of the model matters."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name.lower() and name.endswith("weight"):
                parameter.copy_(1 + 0.2 * torch.randn_like(parameter))
            else:
                parameter.copy_(randomize * torch.randn_like(parameter))
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def write(folder, name, value):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1) + "\n")


def modules(folder, *kinds):
    """`modules.json` in the older spelling, which published models have."""
    names = {"Transformer": "", "Pooling": "1_Pooling", "Dense": "2_Dense", "LayerNorm": "3_LayerNorm", "Normalize": "4_Normalize"}
    write(
        folder,
        "modules.json",
        [
            {"idx": i, "name": str(i), "path": names[kind], "type": f"sentence_transformers.models.{kind}"}
            for i, kind in enumerate(kinds)
        ],
    )


def pooling(folder, *modes):
    modes = {f"pooling_mode_{mode}": mode in modes for mode in
             ("cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens", "weightedmean_tokens", "lasttoken")}
    write(folder, "1_Pooling/config.json", {"word_embedding_dimension": WIDTH, **modes, "include_prompt": True})


def sizes(tokenizer, **others):
    return dict(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        intermediate_size=WIDE,
        max_position_embeddings=POSITIONS,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.cls_token_id,
        eos_token_id=tokenizer.sep_token_id,
    ) | others


def embedding_models(out):
    """Small models of every kind, by their names."""
    bert, roberta = bert_tokenizer(), roberta_tokenizer()

    # As MiniLM and E5 come: mean pooling, normalisation, and a length that is below what the positions allow.
    folder = save(out / "bert-mean", transformers.BertModel(transformers.BertConfig(**sizes(bert)), add_pooling_layer=True), bert)
    modules(folder, "Transformer", "Pooling", "Normalize")
    pooling(folder, "mean_tokens")
    write(folder, "sentence_bert_config.json", {"max_seq_length": 32, "do_lower_case": False})

    # As BGE comes: the first token. A prompt that is put before each text, and vectors that are not normalised.
    folder = save(out / "bert-prompt", transformers.BertModel(transformers.BertConfig(**sizes(bert, hidden_act="gelu_new"))), bert)
    modules(folder, "Transformer", "Pooling")
    pooling(folder, "cls_token")
    write(folder, "config_sentence_transformers.json", {"prompts": {"query": "where do ", "document": ""}, "default_prompt_name": "query"})

    # As transformers alone writes it: mean pooling by default. The oldest files have other names for a normalisation.
    folder = save(out / "bert-plain", transformers.BertModel(transformers.BertConfig(**sizes(bert, hidden_act="relu"))), bert)
    weights = load_file(folder / "model.safetensors")
    renamed = {name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): value
               for name, value in weights.items()}
    save_file(renamed, folder / "model.safetensors", metadata={"format": "pt"})

    # All other poolings at once, then a dense layer and a normalisation of the other kind.
    folder = save(out / "roberta-dense", transformers.RobertaModel(transformers.RobertaConfig(**sizes(roberta, type_vocab_size=1))), roberta)
    modules(folder, "Transformer", "Pooling", "Dense", "LayerNorm", "Normalize")
    modes = ("cls_token", "max_tokens", "mean_tokens", "mean_sqrt_len_tokens", "weightedmean_tokens", "lasttoken")
    pooling(folder, *modes)
    dense = {"in_features": WIDTH * len(modes), "out_features": 12, "bias": True, "activation_function": "torch.nn.modules.activation.Tanh"}
    write(folder, "2_Dense/config.json", dense)
    linear = torch.nn.Linear(WIDTH * len(modes), 12)
    save_file({f"linear.{name}": value for name, value in linear.state_dict().items()}, folder / "2_Dense/model.safetensors")
    write(folder, "3_LayerNorm/config.json", {"dimension": 12})
    norm = {"norm.weight": torch.randn(12), "norm.bias": torch.randn(12)}
    save_file(norm, folder / "3_LayerNorm/model.safetensors")
    (folder / "4_Normalize").mkdir()

    # As nomic's come, and those with positions relative to each other.
    folder = save(out / "nomic", transformers.NomicBertModel(transformers.NomicBertConfig(**sizes(bert))), bert)
    modules(folder, "Transformer", "Pooling", "Normalize")
    pooling(folder, "mean_tokens")
    folder = save(out / "mpnet", transformers.MPNetModel(transformers.MPNetConfig(**sizes(roberta))), roberta)
    modules(folder, "Transformer", "Pooling", "Normalize")
    pooling(folder, "mean_tokens")

    sized = dict(vocab_size=len(bert), dim=WIDTH, n_layers=LAYERS, n_heads=HEADS, hidden_dim=WIDE,
                 max_position_embeddings=POSITIONS, pad_token_id=bert.pad_token_id)
    folder = save(out / "distilbert", transformers.DistilBertModel(transformers.DistilBertConfig(**sized)), bert)
    modules(folder, "Transformer", "Pooling")
    pooling(folder, "mean_tokens", "max_tokens")
    return ["bert-mean", "bert-prompt", "bert-plain", "roberta-dense", "nomic", "mpnet", "distilbert"]


def rerank_models(out):
    bert, roberta = bert_tokenizer(), roberta_tokenizer()
    # As the ones of MS MARCO come: no function after the score, and a length that cuts.
    config = transformers.BertConfig(**sizes(bert, num_labels=1, max_position_embeddings=40))
    config.sentence_transformers = {"activation_fn": "torch.nn.modules.linear.Identity"}
    save(out / "bert-rerank", transformers.BertForSequenceClassification(config), bert)
    # As BGE's come: the logistic function by default.
    config = transformers.XLMRobertaConfig(**sizes(roberta, num_labels=1, type_vocab_size=1))
    save(out / "xlm-roberta-rerank", transformers.XLMRobertaForSequenceClassification(config), roberta, 0.2)
    sized = dict(vocab_size=len(bert), dim=WIDTH, n_layers=LAYERS, n_heads=HEADS, hidden_dim=WIDE, num_labels=1,
                 max_position_embeddings=POSITIONS, pad_token_id=bert.pad_token_id)
    save(out / "distilbert-rerank", transformers.DistilBertForSequenceClassification(transformers.DistilBertConfig(**sized)), bert)
    return ["bert-rerank", "xlm-roberta-rerank", "distilbert-rerank"]


def clean(folder):
    """Leaves what the models need: the rest is the library's own."""
    for path in folder.rglob("*"):
        if path.name in ("README.md", "special_tokens_map.json", ".gitattributes"):
            path.unlink()


def numbers(values):
    return [[round(float(number), 6) for number in row] for row in values]


def embeddings(folder):
    model = SentenceTransformer(str(folder), device="cpu")
    return numbers(model.encode(TEXTS, convert_to_numpy=True))


def scores(folder):
    model = CrossEncoder(str(folder), device="cpu")
    return [round(float(score), 6) for score in model.predict([(QUERY, text) for text in TEXTS])]


def main():
    demo, out = Path(sys.argv[1]), Path(sys.argv[2])
    torch.manual_seed(20251)
    models = out / "models"
    shutil.rmtree(models, ignore_errors=True)
    embedding, rerank = embedding_models(models), rerank_models(models)
    result = {
        "made_by": "tests/reference.py",
        "versions": {module.__name__: module.__version__ for module in (sentence_transformers, transformers)}
        | {"torch": torch.__version__.split("+")[0]},
        "texts": TEXTS,
        "query": QUERY,
        "embeddings": {name: embeddings(models / name) for name in embedding},
        "scores": {name: scores(models / name) for name in rerank},
    }
    result["embeddings"]["demo"] = embeddings(demo / "embedding")
    result["embeddings"]["demo-qwen3"] = embeddings(demo / "qwen3-embedding")
    result["scores"]["demo"] = scores(demo / "reranker")
    clean(models)
    lines = json.dumps(result, indent=1)
    (out / "reference.json").write_text(lines + "\n")


if __name__ == "__main__":
    main()
