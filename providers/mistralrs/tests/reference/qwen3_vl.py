"""Writes what transformers makes of images with the small model of the kind Qwen3-VL.

cargo nextest run -p puna-provider-mistralrs conformance    # writes the model, into tmp of the target folder
pip install transformers pillow torch torchvision
python providers/mistralrs/tests/reference/qwen3_vl.py TARGET/tmp/qwen3-vl
"""

import base64
import io
import json
import pathlib
import sys

import numpy
import PIL.Image
import torch
import transformers
from transformers.models.qwen2_vl.image_processing_qwen2_vl import smart_resize

# Sizes that the model sees as they are.
SIZES = [(160, 128), (128, 192), (128, 128)]
# Sizes for a model as they are published, which sees other ones.
OTHER_SIZES = [
    *[(1, 1), (16, 16), (40, 30), (79, 81), (80, 80), (112, 176), (640, 480), (641, 479), (1000, 333)],
    *[(1, 200), (200, 1), (3000, 17), (4096, 4096), (4097, 4095), (8192, 4096), (16384, 1000), (300, 16384)],
]
# The text of the answer has no more tokens than the answer: the engine counts them there.
TEXT = "Compare the three."
STEPS = 6

folder = sys.argv[1]
tokenizer = transformers.PreTrainedTokenizerFast.from_pretrained(folder)
processor = transformers.AutoImageProcessor.from_pretrained(folder)
model = transformers.Qwen3VLForConditionalGeneration.from_pretrained(
    folder, dtype=torch.float32, attn_implementation="eager"
).eval()


def picture(number, width, height):
    y, x = numpy.mgrid[0:height, 0:width]
    pixels = numpy.stack([x * (number + 1), y * 2, (x * y) // 16], axis=-1) % 256
    return PIL.Image.fromarray(pixels.astype(numpy.uint8))


def url(image):
    png = io.BytesIO()
    image.save(png, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(png.getvalue()).decode()


images = [picture(number, *size) for number, size in enumerate(SIZES)]
seen = processor(images=images, return_tensors="pt")
content = [{"type": "image"}] * len(images) + [{"type": "text", "text": TEXT}]
prompt = tokenizer.apply_chat_template(
    [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
)
for time, height, width in seen["image_grid_thw"].tolist():
    prompt = prompt.replace("<|image_pad|>", "<|pad|>" * (time * height * width // processor.merge_size**2), 1)
ids = tokenizer.encode(prompt.replace("<|pad|>", "<|image_pad|>"), add_special_tokens=False)
prompt_tokens = len(ids)
logprobs = []
with torch.no_grad():
    for _ in range(STEPS):
        input_ids = torch.tensor([ids])
        logits = model(
            input_ids=input_ids,
            pixel_values=seen["pixel_values"],
            image_grid_thw=seen["image_grid_thw"],
            mm_token_type_ids=(input_ids == model.config.image_token_id).long(),
            attention_mask=torch.ones_like(input_ids),
            use_cache=False,
        ).logits[0, -1]
        scored = torch.log_softmax(logits, dim=-1)
        token = int(scored.argmax())
        logprobs.append(round(float(scored[token]), 5))
        ids.append(token)
fixture = {
    "made_by": f"transformers {transformers.__version__}, torch {torch.__version__}",
    "urls": [url(image) for image in images],
    "text": TEXT,
    "prompt_tokens": prompt_tokens,
    "logprobs": logprobs,
    "sizes": [
        [width, height, *reversed(smart_resize(height, width, 32, 65536, 16777216))] for width, height in OTHER_SIZES
    ],
}
pathlib.Path(__file__).with_suffix(".json").write_text(json.dumps(fixture) + "\n")
