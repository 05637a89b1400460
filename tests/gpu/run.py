#!/usr/bin/env python3
"""On a machine with an NVIDIA GPU: builds the distribution `gpu`, checks it, and measures it.

1. The engine's conformance suite and its own tests, compiled with CUDA.
2. The distribution, with the tiny model: a chat, whole and streamed.
3. A model of random weights in bf16, made here: tokens per second through the server at 1, 16 and 64 streams, beside the engine
   called directly in the same rounds.

Needs cargo, nvcc and cuDNN; nothing is downloaded but crates.
"""

import argparse
import json
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

ROOT = Path(__file__).parents[2]
FEATURES = "cuda,cudnn,flash-attn"
PROVIDER = "puna-provider-mistralrs"


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--parameters", choices=["1b", "7b"], default="1b", help="the size of the random model")
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--tokens", type=int, default=256, help="how many tokens each stream makes")
    arguments.add_argument("--work", type=Path, default=ROOT / "target" / "gpu", help="a folder for models and figures")
    arguments.add_argument("--skip-tests", action="store_true", help="measure only")
    arguments = arguments.parse_args()
    for program in ["cargo", "nvcc", "nvidia-smi"]:
        if shutil.which(program) is None:
            raise SystemExit(f"{program} is not here; this needs a machine with an NVIDIA GPU and the CUDA toolkit")
    work = arguments.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    run(["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv"])

    if not arguments.skip_tests:
        run(["cargo", "test", "--release", "--package", PROVIDER, "--features", FEATURES])
        chat(work)
    model = work / f"random-{arguments.parameters}"
    random_model = ["random-model", "--parameters", arguments.parameters, "--dtype", "bf16", "--out", model]
    run(["cargo", "xtask", "bench", *random_model])
    measure = ["engine", "--features", FEATURES, "--model", model, "--streams", "1,16,64", "--at-once", "64"]
    measure += ["--tokens", arguments.tokens, "--rounds", arguments.rounds, "--json", work / "figures.json"]
    run(["cargo", "xtask", "bench", *measure])


def run(command, **options):
    command = [str(word) for word in command]
    print("+", *command, flush=True)
    return subprocess.run(command, check=True, cwd=ROOT, stdin=subprocess.DEVNULL, **options)


def chat(work):
    """Serves the tiny model from the GPU and talks to it."""
    out = work / "distribution"
    run(["cargo", "xtask", "build-distro", "distributions/gpu", "--release", "--out", out])
    sys.path.insert(0, str(ROOT / "tests" / "clients"))
    import run as clients

    with clients.server(out, {}) as url:
        body = {"model": "mistralrs/puna/tiny", "messages": [{"role": "user", "content": "Hello!"}], "max_tokens": 32, "seed": 1}
        whole = json.loads(post(url, body))["choices"][0]["message"]["content"]
        events = post(url, body | {"stream": True}).split("\n\n")
        chunks = [json.loads(event.removeprefix("data: ")) for event in events if event.startswith("data: {")]
        streamed = "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])
        print("it says:", whole)
        if not whole or whole != streamed:
            raise SystemExit(f"the stream says {streamed!r}, the whole answer {whole!r}")


def post(url, body):
    request = urllib.request.Request(
        f"{url}/v1/chat/completions", json.dumps(body).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=120) as answer:
        return answer.read().decode()


if __name__ == "__main__":
    main()
