"""Serves chat, completions and embeddings of a GGUF file with llama.cpp's own HTTP server until standard input closes; prints its address as one line of JSON."""

import argparse
import json
import sys

import xllamacpp


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("model", help="a GGUF file")
    arguments.add_argument("--alias", help="the model id to serve it under")
    arguments = arguments.parse_args()

    parameters = xllamacpp.CommonParams()
    parameters.model.path = arguments.model
    parameters.n_ctx = 2048
    # With more, the embeddings of one request mix with each other.
    parameters.n_parallel = 2
    # Its calls to tools come with the model's own template alone.
    parameters.use_jinja = True
    parameters.port = 0
    parameters.warmup = False
    if arguments.alias:
        parameters.model_alias = {arguments.alias}
    # Embeddings beside text, from the same model.
    parameters.embedding = True
    parameters.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    server = xllamacpp.Server(parameters)
    print(json.dumps({"address": server.listening_address}), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
