"""Scores an answer by whether the right words are in it."""


def process_results(document, results):
    right = document["choices"][document["answer"]]
    return {"holds": float(right.lower() in results[0].lower())}
