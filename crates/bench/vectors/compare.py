"""Compares a program that searches vectors with FAISS and sqlite-vec, on the same vectors in the same run.

`cargo xtask bench vectors` calls it; `--help` lists the options. The vectors are clustered and of length 1, and the same in every run. Every
search is by one thread, one after the other. Recall is against the exact ten nearest.
"""

import argparse
import json
import shutil
import subprocess
import time
from pathlib import Path

import apsw
import faiss
import numpy as np
import sqlite_vec

CASES = {"plain": 100, "1 %": 1, "50 %": 50}
SEED = 20240705


def main():
    parser = argparse.ArgumentParser(prog="cargo xtask bench vectors", description=__doc__)
    parser.add_argument("--program", type=Path, required=True, help="what is measured")
    parser.add_argument("--work", type=Path, required=True, help="a folder for data, overwritten")
    parser.add_argument("--vectors", type=int, default=100_000)
    parser.add_argument("--dimension", type=int, default=384)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--limit", type=int, default=10)
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=list(PEERS), help="whom to compare with; all unless told")
    parser.add_argument("--json", type=Path, help="a file for the figures")
    options = parser.parse_args()

    faiss.omp_set_num_threads(1)
    shutil.rmtree(options.work, ignore_errors=True)
    options.work.mkdir(parents=True)
    vectors, queries = clustered(options)
    vectors.tofile(options.work / "vectors.f32")
    queries.tofile(options.work / "queries.f32")
    truth = {case: exact(vectors, queries, below, options.limit) for case, below in CASES.items()}

    figures = {"puna": puna(options)}
    for peer in options.peers:
        figures[peer] = PEERS[peer](vectors, queries, options)
    show(figures, truth, options)
    if options.json:
        options.json.write_text(json.dumps(figures))


def clustered(options):
    random = np.random.default_rng(SEED)
    count = max(1, options.vectors // 100)
    centers = random.standard_normal((count, options.dimension), dtype=np.float32)
    centers /= np.linalg.norm(centers, axis=1, keepdims=True)

    def near(number):
        # In place: a million vectors are gigabytes.
        rows = random.standard_normal((number, options.dimension), dtype=np.float32)
        rows *= np.float32(0.8 / np.sqrt(options.dimension))
        rows += centers[random.integers(0, count, number)]
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        return rows.astype("<f4", copy=False)

    return near(options.vectors), near(options.queries)


def exact(vectors, queries, below, limit):
    rows = np.flatnonzero(np.arange(len(vectors)) % 100 < below)
    scores = queries @ vectors[rows].T
    return rows[np.argsort(-scores, axis=1)[:, :limit]]


def puna(options):
    folder = options.work / "puna"
    command = [options.program, options.work, folder, options.vectors, options.dimension, options.limit]
    answer = subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True)
    return json.loads(answer.stdout)


def with_faiss_flat(vectors, queries, options):
    return with_faiss(faiss.IndexFlatIP(options.dimension), vectors, queries, options)


def with_faiss_hnsw(vectors, queries, options):
    graph = faiss.IndexHNSWFlat(options.dimension, 32, faiss.METRIC_INNER_PRODUCT)
    graph.hnsw.efConstruction, graph.hnsw.efSearch = 100, 64
    return with_faiss(graph, vectors, queries, options)


def with_faiss(index, vectors, queries, options):
    file = options.work / "faiss.index"
    start = time.perf_counter()
    index.add(vectors)
    faiss.write_index(index, str(file))
    figures = {"insert_s": time.perf_counter() - start, "disk_mb": file.stat().st_size // 1_000_000, "cases": {}}
    for case, below in CASES.items():
        parameters = faiss.SearchParametersHNSW(efSearch=64) if hasattr(index, "hnsw") else faiss.SearchParameters()
        if below < 100:
            rows = np.flatnonzero(np.arange(len(vectors)) % 100 < below).astype("int64")
            parameters.sel = faiss.IDSelectorBatch(rows)

        def search(query):
            return index.search(query[None], options.limit, params=parameters)[1][0].tolist()

        figures["cases"][case] = timed(search, queries)
    return figures


def with_sqlite_vec(vectors, queries, options):
    file = options.work / "sqlite_vec.db"
    # Python's own module cannot always load extensions.
    connection = apsw.Connection(str(file))
    connection.enable_load_extension(True)
    connection.load_extension(sqlite_vec.loadable_path())
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    columns = f"embedding float[{options.dimension}] distance_metric=cosine, bucket integer"
    connection.execute(f"CREATE VIRTUAL TABLE chunks USING vec0({columns})")
    start = time.perf_counter()
    for first in range(0, len(vectors), 500):
        connection.execute("BEGIN")
        rows = ((row, vectors[row].tobytes(), row % 100) for row in range(first, min(first + 500, len(vectors))))
        connection.executemany("INSERT INTO chunks(rowid, embedding, bucket) VALUES (?, ?, ?)", rows)
        connection.execute("COMMIT")
    figures = {"insert_s": time.perf_counter() - start, "disk_mb": file.stat().st_size // 1_000_000, "cases": {}}
    for case, below in CASES.items():
        condition = f"AND bucket < {below}" if below < 100 else ""
        select = f"SELECT rowid FROM chunks WHERE embedding MATCH ? AND k = {options.limit} {condition}"

        def search(query):
            return [row for (row,) in connection.execute(select, (query.tobytes(),))]

        # It compares all in every search: a part of the queries tells as much.
        figures["cases"][case] = timed(search, queries[:50])
    return figures


def timed(search, queries):
    found, times = [], []
    for query in queries:
        start = time.perf_counter()
        found.append(search(query))
        times.append((time.perf_counter() - start) * 1e6)
    return {"found": found, "us": times}


PEERS = {"FAISS flat": with_faiss_flat, "FAISS HNSW": with_faiss_hnsw, "sqlite-vec": with_sqlite_vec}


def show(figures, truth, options):
    print(f"{options.vectors:,} vectors of dimension {options.dimension}, {options.queries} queries, best {options.limit}\n")
    cases = "".join(f" {case}: p50 / p99 / recall |" for case in CASES)
    print(f"| | insert, vectors/s | disk |{cases}")
    print("|---|---|---|" + "---|" * len(CASES))
    for name, figure in figures.items():
        cells = []
        for case in CASES:
            times, found = figure["cases"][case]["us"], figure["cases"][case]["found"]
            hits = sum(len(set(one) & set(right.tolist())) for one, right in zip(found, truth[case]))
            recall = hits / sum(len(right) for right in truth[case][: len(found)])
            p50, p99 = np.percentile(times, [50, 99]) / 1000
            cells.append(f" {p50:.2f} ms / {p99:.2f} ms / {recall:.3f} |")
        rate = options.vectors / figure["insert_s"]
        print(f"| {name} | {rate:,.0f} | {figure['disk_mb']} MB |{''.join(cells)}")
    print(f"\npuna opens the index in {figures['puna']['open_s']:.2f} s and holds {figures['puna']['memory_mb']} MB then")


if __name__ == "__main__":
    main()
