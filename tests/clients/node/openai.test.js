// The `openai` package of npm.
import assert from "node:assert/strict";
import { before, test } from "node:test";
import OpenAI, { BadRequestError, NotFoundError } from "openai";

const client = new OpenAI({ baseURL: `${process.env.PUNA_URL}/v1`, apiKey: "none", maxRetries: 0 });
const messages = [{ role: "user", content: "Hello!" }];
let model;

before(async () => {
  for await (const listed of client.models.list()) {
    if (listed.id.startsWith("mistralrs/")) model = listed.id;
  }
  assert.ok(model, "the local model is listed");
});

test("chat", async () => {
  const answer = await client.chat.completions.create({ model, messages, max_tokens: 8, temperature: 0 });
  assert.equal(answer.model, model);
  assert.ok(answer.choices[0].message.content);
});

test("a stream joined is the whole", async () => {
  const ask = { model, messages, max_tokens: 16, temperature: 0 };
  const whole = await client.chat.completions.create(ask);
  let text = "";
  for await (const chunk of await client.chat.completions.create({ ...ask, stream: true })) {
    text += chunk.choices[0]?.delta?.content ?? "";
  }
  assert.equal(text, whole.choices[0].message.content);
});

test("embeddings", async () => {
  const answer = await client.embeddings.create({ model: process.env.EMBEDDING_MODEL, input: ["one", "two"] });
  assert.equal(answer.data.length, 2);
  assert.ok(answer.data[0].embedding.length > 0);
});

test("errors have their classes and name the field", async () => {
  await assert.rejects(client.chat.completions.create({ model: "nothing", messages }), (error) => {
    assert.ok(error instanceof NotFoundError);
    assert.equal(error.code, "model_not_found");
    return true;
  });
  await assert.rejects(client.chat.completions.create({ model, messages: [] }), (error) => {
    assert.ok(error instanceof BadRequestError);
    assert.equal(error.param, "messages");
    return true;
  });
});

test("an aborted stream leaves the server serving", async () => {
  const stream = await client.chat.completions.create({ model, messages, max_tokens: 200, stream: true });
  for await (const chunk of stream) {
    assert.ok(chunk.id);
    stream.controller.abort();
    break;
  }
  const answer = await client.chat.completions.create({ model, messages, max_tokens: 2 });
  assert.ok(answer.choices.length);
});
