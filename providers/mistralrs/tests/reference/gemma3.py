"""Writes what transformers makes of an image with the small model of the kind Gemma 3.

cargo nextest run -p puna-provider-mistralrs conformance    # writes the model, into tmp of the target folder
pip install transformers pillow torch
python providers/mistralrs/tests/reference/gemma3.py TARGET/tmp/gemma3
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

SIDE = 28
IMAGE_TOKENS = 16
TEXT = "What is on it?"
STEPS = 6

folder = sys.argv[1]
tokenizer = transformers.PreTrainedTokenizerFast.from_pretrained(folder)
model = transformers.Gemma3ForConditionalGeneration.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()

y, x = numpy.mgrid[0:SIDE, 0:SIDE]
pixels = numpy.stack([x * 9, y * 9, (x * y) % 256], axis=-1).astype(numpy.uint8)
png = io.BytesIO()
PIL.Image.fromarray(pixels).save(png, format="PNG")
pixel_values = torch.tensor((pixels / 255 - 0.5) / 0.5, dtype=torch.float32).permute(2, 0, 1)[None]

messages = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": TEXT}]}]
prompt = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
seen = "\n\n<start_of_image>" + "<image_soft_token>" * IMAGE_TOKENS + "<end_of_image>\n\n"
ids = tokenizer.encode(prompt.replace("<start_of_image>", seen), add_special_tokens=False)
prompt_tokens = len(ids)
logprobs = []
with torch.no_grad():
    for _ in range(STEPS):
        input_ids = torch.tensor([ids])
        kinds = (input_ids == model.config.image_token_id).long()
        logits = model(
            input_ids=input_ids,
            pixel_values=pixel_values,
            token_type_ids=kinds,
            attention_mask=torch.ones_like(input_ids),
            use_cache=False,
        ).logits[0, -1]
        scored = torch.log_softmax(logits, dim=-1)
        token = int(scored.argmax())
        logprobs.append(round(float(scored[token]), 5))
        ids.append(token)
fixture = {
    "made_by": f"transformers {transformers.__version__}, torch {torch.__version__}",
    "urls": ["data:image/png;base64," + base64.b64encode(png.getvalue()).decode()],
    "text": TEXT,
    "prompt_tokens": prompt_tokens,
    "logprobs": logprobs,
}
pathlib.Path(__file__).with_suffix(".json").write_text(json.dumps(fixture) + "\n")
