"""The JavaScript that ``same_in_browsers.py`` runs: a program for Node, and a function for a tab of Chromium.

ANSWERS, CORE and MODEL stand for the text of that name, and for the addresses of the modules of the library.
"""

from __future__ import annotations

import subprocess


def node_command() -> list[str]:
    """Node with relaxed SIMD, which it has by itself from 21 on."""
    found = subprocess.run(["node", "--version"], check=True, stdout=subprocess.PIPE, text=True).stdout
    return ["node", *(["--experimental-wasm-relaxed-simd"] if int(found[1:].split(".")[0]) < 21 else [])]


ANSWERS = """
const base64 = (bytes) => btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
const answer = (model, { prompt, settings }) => {
  const writing = model.generate({ ...settings, prompt, seed: BigInt(settings.seed) });
  for (const _ of writing);
  const session = model.session();
  session.rewind(writing.state);
  const { text, tokens, nats, stopped } = writing;
  return { text, tokens, nats, stopped, state: base64(session.state), scores: model.score(prompt, "token") };
};
"""
NODE = """
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { Core } from "CORE";
import { Model } from "MODEL";
ANSWERS
const compiled = await WebAssembly.compile(readFileSync(process.argv[2]));
const [section] = WebAssembly.Module.customSections(compiled, "pantoum");
const { structs } = JSON.parse(new TextDecoder().decode(section));
const PAGE = 4096;

// The exports of an instance; what is written to its memory between calls, and each call, goes to `record`.
// The library writes only where memory was allocated, so what lies below is not looked at. (It would show:
// the whole memory is compared in the end.)
function recorded(exports, record) {
  let before = new Uint8Array(exports.memory.buffer).slice();
  let from = Infinity;
  const written = () => {
    const now = new Uint8Array(exports.memory.buffer);
    for (let at = from; at < now.length; at += PAGE) {
      const page = now.subarray(at, at + PAGE);
      const same = at < before.length && !Buffer.compare(page, before.subarray(at, at + PAGE));
      if (same || (at >= before.length && page.every((byte) => !byte))) continue;
      record.push(["write", at, Buffer.from(page).toString("base64")]);
    }
  };
  const seen = () => {
    const now = new Uint8Array(exports.memory.buffer);
    if (before.length !== now.length) before = now.slice();
    else if (from < now.length) before.set(now.subarray(from), from);
  };
  const call = (name) => (...given) => {
    written();
    const value = exports[name](...given);
    record.push([name, given.map(String), value === undefined ? null : String(value)]);
    if (name.endsWith("alloc") && value) from = Math.min(from, value - (value % PAGE));
    seen();
    return value;
  };
  const functions = Object.keys(exports).filter((name) => typeof exports[name] === "function");
  return { memory: exports.memory, ...Object.fromEntries(functions.map((name) => [name, call(name)])) };
}

for await (const line of createInterface({ input: process.stdin })) {
  const { model: path, cases, record: to } = JSON.parse(line);
  const record = [];
  const exports = recorded((await WebAssembly.instantiate(compiled, {})).exports, record);
  exports._initialize?.();
  const model = await Model.load(new Core({ exports }, structs), new Uint8Array(readFileSync(path)));
  const answers = cases.map((one) => {
    const found = answer(model, one);
    record.push(["memory", createHash("sha256").update(new Uint8Array(exports.memory.buffer)).digest("hex")]);
    return found;
  });
  writeFileSync(to, JSON.stringify(record));
  process.stdout.write(JSON.stringify(answers) + "\\n");
}
"""
CHROMIUM = """async ([module, model, cases]) => {
  const bytes = (text) => Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
  ANSWERS
  window.core ??= bytes(module);
  const loaded = await Model.load(await Core.load(window.core), bytes(model));
  return cases.map((one) => answer(loaded, one));
}"""
