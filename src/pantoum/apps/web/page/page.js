// The page: a prompt, what the model writes after it, and what it thought of meanwhile.

import { fuses } from "../fused.js";
import { RemoteModel } from "../remote.js";
import { WrittenText } from "./written_text.js";

const [CHOICES, COUNT] = [8, 3];
const $ = (/** @type {string} */ id) => /** @type {any} */ (document.getElementById(id));
/** @type {RemoteModel} */
let model;
/** @type {AbortController | null} */
let writing = null;
/** What writes the texts that are shown. @type {Record<string, any> | null} */
let shown = null;

/** The bytes of an element's text in base64. @param {string} id */
function bytesIn(id) {
  const text = atob($(id).textContent);
  $(id).remove();
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; ++i) bytes[i] = text.charCodeAt(i);
  return bytes;
}

async function begin() {
  const source = new Blob([$("worker").textContent], { type: "text/javascript" });
  const address = URL.createObjectURL(source);
  try {
    model = await RemoteModel.load(new Worker(address), bytesIn(fuses() ? "fused" : "module"), bytesIn("model"));
  } finally {
    URL.revokeObjectURL(address);
  }
  /** @type {any} */ (window).pantoum = model;
  for (const id of ["write", "again", "share"]) $(id).disabled = false;
  tell("Ready: press Write.");
  document.body.dataset.ready = "true";
  if (location.hash.length > 1) write();
}

/** @param {string} message */
function tell(message) {
  $("status").textContent = message;
}

/** @param {unknown} error */
function refuse(error) {
  $("error").textContent = error instanceof Error ? error.message : String(error);
  $("error").hidden = false;
}

function drawn() {
  return crypto.getRandomValues(new Uint32Array(1))[0] >>> 1;
}

/** What the form asks for; `three`, where it does, is what a link says. @returns {Record<string, any>} */
function settings() {
  const [temperature, length, seed] = ["temperature", "length", "seed"].map((name) => Number($(name).value));
  return { prompt: $("prompt").value, temperature, length, seed, ...($("three").checked ? { three: "1" } : {}) };
}

/** Takes what a link asks for. */
function readLink() {
  const asked = new URLSearchParams(location.hash.slice(1));
  for (const name of ["prompt", "temperature", "length", "seed"]) if (asked.has(name)) $(name).value = asked.get(name);
  $("three").checked = asked.has("three");
  if (!$("seed").validity.valid || !$("seed").value) $("seed").value = drawn();
  show();
}

function show() {
  $("temperature-value").textContent = $("temperature").value === "0" ? "0: the most probable" : $("temperature").value;
  $("length-value").textContent = `${$("length").value} tokens`;
  document.body.classList.toggle("plain", !$("shade").checked);
}

async function write() {
  if (!$("form").reportValidity()) return;
  const { three, prompt, ...asked } = (shown = settings());
  const count = three ? COUNT : 1;
  $("texts").replaceChildren();
  const texts = Array.from({ length: count }, (_, stream) => new WrittenText(prompt, count > 1 ? `Text ${stream + 1}` : "Text", { chosen: others, tell }));
  $("texts").append(...texts.map((text) => text.element));
  await run(texts.map((text, stream) => (options) => text.write(model, { ...asked, prompt, stream }, options)));
}

/**
 * Lets texts be written side by side, until they end or are stopped.
 * @param {((options: {signal: AbortSignal}) => Promise<{tokens: number, notes: string[]}>)[]} texts
 */
async function run(texts) {
  writing?.abort();
  const own = (writing = new AbortController());
  $("error").hidden = true;
  $("stop").hidden = false;
  $("legend").hidden = false;
  tell("Writing …");
  const began = performance.now();
  try {
    const done = await Promise.all(texts.map((text) => text(own)));
    if (writing !== own) return;
    const tokens = done.reduce((sum, one) => sum + one.tokens, 0);
    const seconds = (performance.now() - began) / 1000;
    const took = seconds < 0.1 ? "less than 0.1" : seconds.toFixed(1);
    tell(`${[`${tokens} tokens in ${took} seconds`, ...done[0].notes].join("; ")}.`);
  } catch (error) {
    if (writing === own) tell("");
    refuse(error);
  } finally {
    if (writing === own) {
      writing = null;
      $("stop").hidden = true;
    }
  }
}

/**
 * What else the model thought of in the place of a word; what is chosen goes on from there.
 * @param {WrittenText} text
 * @param {number} place
 */
async function others(text, place) {
  const { before, word } = text.at(place);
  try {
    // White space before a word is not in question, where words do not bring it.
    const space = model.bringsSpace ? "" : (word.match(/^\s*/u)?.[0] ?? "");
    const found = await model.words(before + space, CHOICES);
    $("others-title").textContent = `Instead of “${visible(word.trim() || word)}”`;
    $("choices").dir = text.direction;
    $("choices").replaceChildren(
      ...found.map((/** @type {{text: string, probability: number}} */ choice) => {
        const button = document.createElement("button");
        button.type = "button";
        const [label, chance, share] = [document.createElement("code"), document.createElement("span"), document.createElement("span")];
        label.textContent = visible(choice.text.trim() || choice.text);
        label.dir = "auto";
        chance.textContent = `${(100 * choice.probability).toFixed(1)} %`;
        share.className = "share";
        share.style.width = `${100 * choice.probability}%`;
        button.append(label, chance, share);
        button.onclick = () => {
          $("others").close();
          const { three, ...asked } = settings();
          shown = { ...asked, prompt: before + space + choice.text };
          run([(options) => text.fork(model, place, space + choice.text, asked, options)]).then(() => text.focus());
        };
        const item = document.createElement("li");
        item.append(button);
        return item;
      }),
    );
    $("others").showModal();
  } catch (error) {
    refuse(error);
  }
}

/** White space by signs that can be seen. @param {string} text */
function visible(text) {
  return text.replaceAll("\n", "↵").replaceAll(" ", "␣");
}

$("form").onsubmit = (/** @type {Event} */ event) => {
  event.preventDefault();
  if (model) write();
};
$("form").oninput = show;
$("again").onclick = () => {
  $("seed").value = drawn();
  write();
};
$("stop").onclick = () => writing?.abort();
$("close").onclick = () => $("others").close();
$("share").onclick = async () => {
  history.replaceState(null, "", `#${new URLSearchParams(shown ?? settings())}`);
  try {
    await navigator.clipboard.writeText(location.href);
    tell("The link is copied: it writes this text again.");
  } catch {
    tell("The address above is the link: it writes this text again.");
  }
};
document.onkeydown = (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && model) {
    event.preventDefault();
    write();
  }
  if (event.key === "Escape" && !$("others").open) writing?.abort();
};
window.onhashchange = () => {
  readLink();
  if (model) write();
};
readLink();
begin().catch((error) => {
  tell("");
  refuse(error);
});
