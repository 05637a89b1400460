#!/usr/bin/env python3
"""Kills a server again and again, and looks whether anything was lost; see README.md. Needs nothing but Python's standard library to start."""

import argparse
import random
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from harness import install_python, run  # noqa: E402


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--distribution", type=Path, required=True, help="the folder that build-distro wrote for `starter`")
    arguments.add_argument("--work", type=Path, required=True, help="a folder for the installed clients, kept between runs")
    arguments.add_argument("--rounds", type=int, default=20, help="how often the server is killed")
    arguments.add_argument("--seed", type=int, default=random.randrange(1 << 32), help="makes the same choices again")
    arguments = arguments.parse_args()
    python = install_python(HERE.parent / "clients" / "python" / "requirements.txt", arguments.work.resolve() / "python")
    run([python, HERE / "crash.py", arguments.distribution.resolve(), str(arguments.rounds), str(arguments.seed)])


if __name__ == "__main__":
    main()
