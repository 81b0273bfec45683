// openai-js, unchanged, against a server: all four interfaces, whole and streamed.
//
//     npm install openai && node benchmarks/judges/openai_js.mjs http://127.0.0.1:8000 [KEY]
//
// The package is looked for from the folder in which it is run. Each line is a use, `ok` or what went wrong;
// exits with 1 if one failed.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const found = createRequire(`${process.cwd()}/`).resolve("openai");
const { default: OpenAI } = await import(pathToFileURL(found));
const [url, apiKey = "none"] = process.argv.slice(2);
const client = new OpenAI({ baseURL: `${url}/v1`, apiKey, maxRetries: 0 });
const model = (await client.models.list()).data[0].id;
const messages = [{ role: "user", content: "Who is there?" }];

async function joined(stream, part) {
  let text = "";
  for await (const event of await stream) text += part(event) ?? "";
  return text;
}

async function refused(call, name) {
  const error = await call.then(() => null, (error) => error);
  return error?.status === 400 && error.message.includes(name);
}

const prompted = { model, prompt: "The", max_tokens: 20, seed: 1 };
const asked = { model, messages, max_tokens: 20, seed: 1 };
const responded = { model, input: "The", max_output_tokens: 20 };
const uses = {
  completions: async () => (await client.completions.create(prompted)).choices[0].text,
  "completions, streamed": async () => {
    const streamed = client.completions.create({ ...prompted, stream: true });
    const whole = (await client.completions.create(prompted)).choices[0].text;
    return (await joined(streamed, (event) => event.choices[0]?.text)) === whole;
  },
  chat: async () => (await client.chat.completions.create(asked)).choices[0].message.content,
  "chat, streamed": async () => {
    const streamed = client.chat.completions.create({ ...asked, stream: true });
    const whole = (await client.chat.completions.create(asked)).choices[0].message.content;
    return (await joined(streamed, (event) => event.choices[0]?.delta.content)) === whole;
  },
  responses: async () => (await client.responses.create(responded)).output_text,
  "responses, streamed": () => joined(client.responses.create({ ...responded, stream: true }), (event) => event.delta),
  embeddings: async () => {
    const input = Array(500).fill("The end");
    const { data } = await client.embeddings.create({ model, input });
    return data.length === 500 && data.every((one) => one.embedding.length === data[0].embedding.length);
  },
  "a tool is refused by name": () =>
    refused(client.chat.completions.create({ ...asked, tools: [{ type: "function", function: { name: "f" } }] }), "tools"),
  "a model that is not there": async () => {
    const error = await client.completions.create({ ...prompted, model: "none" }).catch((error) => error);
    return error instanceof OpenAI.NotFoundError;
  },
};

for (const [name, use] of Object.entries(uses)) {
  const told = await use().then((found) => (found ? "ok" : "an empty or wrong answer"), (error) => String(error));
  if (told !== "ok") process.exitCode = 1;
  console.log(`openai-js: ${name}`.padEnd(40), told);
}
