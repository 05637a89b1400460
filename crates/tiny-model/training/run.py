#!/usr/bin/env python3
"""Installs what training needs, and trains; `cargo xtask tiny-model --train` calls it. Needs nothing but Python's standard library to start."""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
OLDEST = (3, 12)


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--work", type=Path, required=True, help="a folder for what is installed, kept between runs")
    arguments, rest = arguments.parse_known_args()
    python = install(arguments.work.resolve())
    subprocess.run([python, HERE / "train.py", *rest], check=True, stdin=subprocess.DEVNULL)


def install(work):
    requirements = HERE / "requirements.txt"
    stamp = work / "installed.txt"
    python = work / "bin" / "python"
    if not (stamp.exists() and stamp.read_text() == requirements.read_text()):
        subprocess.run([find_python(), "-m", "venv", "--clear", work], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", requirements], check=True)
        stamp.write_text(requirements.read_text())
    return python


def find_python():
    versions = Path.home() / ".pyenv" / "versions"
    candidates = [sys.executable, "python3.13", "python3.12", *sorted(map(str, versions.glob("3.1[2-9]*/bin/python3")))]
    for candidate in candidates:
        path = shutil.which(candidate)
        if path is None:
            continue
        asked = subprocess.run([path, "-c", "import sys; print(*sys.version_info[:2])"], capture_output=True, text=True)
        if asked.returncode == 0 and tuple(map(int, asked.stdout.split())) >= OLDEST:
            return path
    raise SystemExit("no Python {}.{} or newer found; PyTorch needs one".format(*OLDEST))


if __name__ == "__main__":
    main()
