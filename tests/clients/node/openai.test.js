// The `openai` package of npm.
import assert from "node:assert/strict";
import { before, test } from "node:test";
import OpenAI, { BadRequestError, NotFoundError, toFile } from "openai";

const client = new OpenAI({ baseURL: `${process.env.PUNA_URL}/v1`, apiKey: "none", maxRetries: 0 });
const messages = [{ role: "user", content: "Hello!" }];
let model;

before(async () => {
  for await (const listed of client.models.list()) {
    if (listed.id.startsWith("mistralrs/") && listed.custom_metadata.model_type === "llm") model = listed.id;
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
  const answer = await client.embeddings.create({ model: process.env.PUNA_EMBEDDING_MODEL, input: ["one", "two"] });
  assert.equal(answer.data.length, 2);
  assert.ok(answer.data[0].embedding.length > 0);
});

test("an answer follows a schema", async () => {
  const schema = {
    type: "object",
    properties: { animal: { enum: ["llama", "alpaca"] }, tame: { type: "boolean" } },
    required: ["animal", "tame"],
    additionalProperties: false,
  };
  const response_format = { type: "json_schema", json_schema: { name: "herd", schema, strict: true } };
  const answer = await client.chat.completions.create({ model, messages, response_format, max_tokens: 100, seed: 1 });
  const { animal, tame } = JSON.parse(answer.choices[0].message.content);
  assert.ok(["llama", "alpaca"].includes(animal));
  assert.equal(typeof tame, "boolean");
});

test("a tool is called, and its result is taken", async () => {
  const parameters = { type: "object", properties: { city: { enum: ["Cusco", "Puno"] } }, required: ["city"], additionalProperties: false };
  const tools = [{ type: "function", function: { name: "get_weather", parameters } }];
  const ask = { model, tools, max_tokens: 100, temperature: 0 };
  const called = await client.chat.completions.create({ ...ask, messages, tool_choice: "required" });
  const [call] = called.choices[0].message.tool_calls;
  assert.equal(call.function.name, "get_weather");
  assert.ok(["Cusco", "Puno"].includes(JSON.parse(call.function.arguments).city));
  const result = { role: "tool", tool_call_id: call.id, content: "sunny" };
  const history = [...messages, called.choices[0].message, result];
  const answer = await client.chat.completions.create({ ...ask, messages: history, tool_choice: "none" });
  assert.ok(answer.choices[0].message.content);
});

test("log probabilities", async () => {
  const answer = await client.chat.completions.create({ model, messages, max_tokens: 4, temperature: 0, logprobs: true, top_logprobs: 2 });
  for (const token of answer.choices[0].logprobs.content) {
    assert.ok(token.logprob <= 0);
    assert.equal(token.top_logprobs.length, 2);
  }
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

test("a file goes and comes back", async () => {
  const bytes = Buffer.alloc(300_000, "llama");
  const file = await client.files.create({
    file: await toFile(bytes, "notes.txt"),
    purpose: "user_data",
    expires_after: { anchor: "created_at", seconds: 3600 },
  });
  assert.equal(file.bytes, bytes.length);
  assert.equal(file.expires_at, file.created_at + 3600);
  const content = await client.files.content(file.id);
  assert.deepEqual(Buffer.from(await content.arrayBuffer()), bytes);
  const ids = [];
  for await (const listed of client.files.list({ limit: 1 })) ids.push(listed.id);
  assert.ok(ids.includes(file.id));
  assert.equal((await client.files.delete(file.id)).deleted, true);
  await assert.rejects(client.files.retrieve(file.id), NotFoundError);
});
