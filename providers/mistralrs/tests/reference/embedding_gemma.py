"""Writes what sentence-transformers makes of texts with the small model of the kind EmbeddingGemma.

cargo nextest run -p puna-provider-mistralrs embedding_gemma    # writes the model, into tmp of the target folder
pip install sentence-transformers
python providers/mistralrs/tests/reference/embedding_gemma.py TARGET/tmp/embedding-gemma
"""

import json
import pathlib
import sys

import sentence_transformers
import transformers

TEXTS = [
    "llama",
    "The puna is the high grassland where llamas live.",
    # Longer than the first layer sees.
    "Llamas eat grass, and the grass of the puna is short and hard. " * 6,
    "vicuña \U0001F999 42",
]

model = sentence_transformers.SentenceTransformer(sys.argv[1], device="cpu")
vectors = model.encode(TEXTS, batch_size=1)
fixture = {
    "made_by": f"sentence-transformers {sentence_transformers.__version__}, transformers {transformers.__version__}",
    "texts": TEXTS,
    "vectors": [[round(float(number), 6) for number in vector] for vector in vectors],
}
out = pathlib.Path(__file__).with_name("embedding_gemma.json")
out.write_text(json.dumps(fixture, ensure_ascii=False) + "\n")
