"""Embeddings and reranking by the models in the server's own process."""

import llama_stack_client
import openai
import pytest
from conftest import model_of

PASSAGES = [
    "Potatoes grow in the high grassland, and people have eaten them for thousands of years.",
    "The capital of Peru is Lima.",
    "Rust is a programming language that has no garbage collector.",
    "Llamas are animals of the mountains. They carry what people give them to carry.",
]
QUESTIONS = {
    "who eats potatoes?": 0,
    "what is the capital of Peru?": 1,
    "programming languages without a garbage collector": 2,
    "which animals carry something for people?": 3,
}


@pytest.fixture(scope="module")
def embedder(client):
    return model_of(client, "sentence-transformers", "embedding")


@pytest.fixture(scope="module")
def reranker(client):
    return model_of(client, "sentence-transformers", "rerank")


def cosine(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True))


def embed(client, model, texts, **ask):
    return [item.embedding for item in client.embeddings.create(model=model, input=texts, **ask).data]


@pytest.mark.parametrize("dimensions", [None, 64])
def test_the_passage_that_answers_is_the_nearest(client, embedder, dimensions):
    ask = {"dimensions": dimensions} if dimensions else {}
    passages = embed(client, embedder, PASSAGES, **ask)
    for question, expected in QUESTIONS.items():
        [vector] = embed(client, embedder, question, **ask)
        assert len(vector) == (dimensions or 384)
        assert cosine(vector, vector) == pytest.approx(1, abs=1e-4)
        nearest = max(range(len(passages)), key=lambda index: cosine(vector, passages[index]))
        assert nearest == expected, question


def test_base64_and_floats_are_the_same(client, embedder):
    # The client asks for base64 by default and decodes it.
    for decoded, floats in zip(
        embed(client, embedder, PASSAGES), embed(client, embedder, PASSAGES, encoding_format="float"), strict=True
    ):
        assert decoded == pytest.approx(floats, abs=1e-5)


def test_usage_adds_up(client, embedder):
    alone = [client.embeddings.create(model=embedder, input=passage).usage.total_tokens for passage in PASSAGES]
    together = client.embeddings.create(model=embedder, input=PASSAGES).usage
    assert together.total_tokens == together.prompt_tokens == sum(alone)


def test_a_long_text_is_refused_or_cut_as_asked(client, embedder):
    text = "llama " * 5000
    with pytest.raises(openai.BadRequestError) as raised:
        client.embeddings.create(model=embedder, input=["short", text])
    assert (raised.value.code, raised.value.param) == ("context_length_exceeded", "input[1]")
    cut = client.embeddings.create(model=embedder, input=text, extra_body={"truncate_prompt_tokens": -1})
    assert cut.usage.prompt_tokens == 2048


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"input": []}, "input"),
        ({"input": ["a", ""]}, "input[1]"),
        ({"input": [[2, 10**6, 3]]}, "input[0]"),
        ({"dimensions": 385}, "dimensions"),
        ({"encoding_format": "hex"}, "encoding_format"),
        ({"extra_body": {"truncate_prompt_tokens": 10**6}}, "truncate_prompt_tokens"),
    ],
)
def test_bad_requests_name_the_field(client, embedder, change, param):
    with pytest.raises(openai.BadRequestError) as raised:
        client.embeddings.create(**{"model": embedder, "input": "a"} | change)
    assert raised.value.param == param


def test_rerank(url, reranker):
    stack = llama_stack_client.LlamaStackClient(base_url=url, max_retries=0)
    for question, expected in QUESTIONS.items():
        answer = stack.alpha.inference.rerank(model=reranker, query=question, items=PASSAGES)
        assert answer[0].index == expected, question
        assert sorted(result.index for result in answer) == [0, 1, 2, 3]
        scores = [result.relevance_score for result in answer]
        assert scores == sorted(scores, reverse=True)
        best = stack.alpha.inference.rerank(
            model=reranker,
            query={"type": "text", "text": question},
            items=[{"type": "text", "text": passage} for passage in PASSAGES],
            max_num_results=1,
        )
        assert [(result.index, result.relevance_score) for result in best] == [(expected, pytest.approx(scores[0], abs=1e-4))]


def test_each_model_does_what_it_is_for(url, client, embedder, reranker):
    stack = llama_stack_client.LlamaStackClient(base_url=url, max_retries=0)
    with pytest.raises(llama_stack_client.APIStatusError):
        stack.alpha.inference.rerank(model=embedder, query="a", items=["b"])
    with pytest.raises(openai.APIStatusError) as raised:
        client.embeddings.create(model=reranker, input="a")
    assert raised.value.param == "model"
