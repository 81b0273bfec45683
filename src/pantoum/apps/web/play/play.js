// Training in a page: a text, a button, the loss and what the model writes meanwhile, the model as a file.

import { PantoumError } from "../errors.js";
import { fuses } from "../fused.js";
import { Calls, RemoteModel } from "../remote.js";
import { drawCurve } from "./curve.js";

const PASTED = "text.txt";
const FILE = "model.safetensors";
const CONTROLS = ["text", "file", "from", "size", "kind", "steps", "seed"];
const [SAMPLE, WRITTEN] = [240, 400];
const $ = (/** @type {string} */ id) => /** @type {any} */ (document.getElementById(id));

/** The parts of the page that workers are made of. @type {Record<string, any>} */
const parts = {};
/** @type {Calls | null} */
let trainer = null;
/** @type {Worker | null} */
let writer = null;
/** @type {RemoteModel | null} */
let model = null;
/** Of the models that were asked for, the number of the last one: one before it that comes later is not taken. */
let newest = 0;
/** A file that was chosen in place of the text. @type {File | null} */
let chosen = null;
/** @type {{steps: number, curve: [number, number][], state: "trains" | "stopped" | "finished", saved: boolean} | null} */
let run = null;

/** @param {string} id */
function worker(id) {
  const address = URL.createObjectURL(new Blob([parts[id]], { type: "text/javascript" }));
  const made = new Worker(address);
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
  return made;
}

function module() {
  return parts.module.slice();
}

function begin() {
  for (const id of ["worker", "trainer", "module", "fused", "base"]) {
    parts[id] = $(id).textContent;
    $(id).remove();
  }
  const decoded = (/** @type {string} */ text) => Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0));
  [parts.module, parts.base] = [decoded(fuses() ? parts.fused : parts.module), decoded(parts.base)];
  if (!parts.base.length) {
    $("from").value = "nothing";
    $("from-control").hidden = true;
  }
  $("train").disabled = false;
  tell("Ready: give it a text, then press Train.");
  show();
  document.body.dataset.ready = "true";
}

/** @param {string} message */
function tell(message) {
  $("status").textContent = message;
}

/** @param {unknown} error */
function refuse(error) {
  $("error").textContent = error instanceof Error ? error.message : String(error);
  $("error").hidden = false;
  tell("");
}

/** What can be done now. */
function show() {
  const state = run?.state;
  $("train").disabled = state === "trains";
  $("stop").hidden = state !== "trains";
  $("further").hidden = state !== "stopped";
  $("save").hidden = !run?.curve.length;
  $("run").hidden = !run;
  for (const id of CONTROLS) $(id).disabled = state === "trains" || (["size", "kind"].includes(id) && $("from").value === "base");
  $("temperature-value").textContent = $("temperature").value === "0" ? "0: the most probable" : $("temperature").value;
}

/** The bytes of the text, and the name that its file has. */
async function given() {
  if (chosen) {
    const read = await chosen.arrayBuffer().catch(() => {
      throw new PantoumError("the file cannot be read: it is a folder, was changed or is too large; choose a text file");
    });
    return { name: chosen.name, bytes: new Uint8Array(read) };
  }
  return { name: PASTED, bytes: new TextEncoder().encode($("text").value) };
}

async function train() {
  if (!$("form").reportValidity()) return;
  $("error").hidden = true;
  tell("The text is being read …");
  $("train").disabled = true;
  try {
    const { name, bytes } = await given();
    const from = $("from").value;
    const settings = {
      name, from, baseName: $("from-base").textContent, baseFile: parts.base,
      kind: $("kind").value || null, sizes: $("size").value ? $("size").value.split(" ").map(Number) : null,
      steps: $("steps").value ? Number($("steps").value) : null, seed: Number($("seed").value),
    };
    trainer?.end();
    forget();
    trainer = new Calls(worker("trainer"));
    const core = module();
    const facts = await trainer.ask("begin", [core, bytes, settings], { transfer: [core.buffer, bytes.buffer] });
    $("command").textContent = facts.command;
    run = { steps: facts.steps, curve: [], state: "trains", saved: true };
    $("about").open = false;
    const model = `${facts.layers} × ${facts.units} units, ${facts.parameters.toLocaleString("en")} numbers, ${facts.kind}; ${facts.streams} streams of ${facts.chunk}.`;
    $("begun").textContent = [model, ...facts.notes].join(" ");
    tell("The model is training: the loss and what it writes are below.");
    await go();
  } catch (error) {
    refuse(error);
  } finally {
    show();
  }
}

/** Trains until the end, or until someone stops. */
async function go() {
  const own = run;
  if (!own || !trainer) return;
  own.state = "trains";
  show();
  try {
    const { finished, step } = await trainer.ask("run", [], { onPieces: heard });
    own.state = finished ? "finished" : "stopped";
    tell(finished ? `Trained: ${step} steps. The model writes below and can be downloaded.` : `Stopped after step ${step}. The model of this step can be downloaded.`);
  } catch (error) {
    own.state = "finished";
    refuse(error);
  }
  show();
  if (own.curve.length) await load(await trainer.ask("file", []), own.curve.length);
}

/** What the worker tells while it trains. @param {any} report */
function heard(report) {
  if (!run) return;
  if (report.model) return void load(report.model, report.step);
  const { losses, step, seconds } = report;
  if (!losses.length) return;
  const first = !run.curve.length;
  run.curve.push(...losses);
  run.saved = false;
  $("progress").value = step / run.steps;
  const recent = run.curve.slice(-20);
  const mean = recent.reduce((sum, [, loss]) => sum + loss, 0) / recent.length;
  const perStep = seconds / losses.length;
  const more = step < run.steps ? `; ${left((run.steps - step) * perStep)}` : "";
  $("figures").textContent = `Step ${step} of ${run.steps}; training loss ${mean.toFixed(3)}; ${perStep.toFixed(2)} seconds per step${more}`;
  drawCurve($("curve"), run.curve, run.steps);
  $("curve-title").textContent = `The training loss from step 1, ${run.curve[0][1].toFixed(2)}, to step ${step}, ${mean.toFixed(2)} nats`;
  if (first) show();
}

/** @param {number} seconds */
function left(seconds) {
  return seconds < 90 ? `${Math.ceil(seconds)} seconds left` : `${Math.ceil(seconds / 60)} minutes left`;
}

/**
 * The model of a step takes the place of the one before it, and writes.
 * @param {Uint8Array} file
 * @param {number} step
 */
async function load(file, step) {
  const [own, number] = [worker("worker"), ++newest];
  try {
    const core = module();
    const loaded = await RemoteModel.load(own, core, file);
    if (number !== newest) return own.terminate();
    writer?.terminate();
    [writer, model] = [own, loaded];
    await write(step);
  } catch (error) {
    own.terminate();
    refuse(error);
  }
}

/** The model of an earlier run is gone. */
function forget() {
  newest += 1;
  writer?.terminate();
  writer = model = run = null;
  $("sample").hidden = true;
}

/** @param {number} [step] what it writes is a sample of this step */
async function write(step) {
  if (!model) return;
  const asked = model;
  $("sample").hidden = false;
  $("sample-note").textContent = step === undefined ? "" : `After step ${step}, seed 1.`;
  const prompt = $("prompt").value;
  let text = "";
  const seed = step === undefined ? crypto.getRandomValues(new Uint32Array(1))[0] >>> 1 : 1;
  const settings = { prompt, length: step === undefined ? WRITTEN : SAMPLE, seed, temperature: Number($("temperature").value) };
  const onPieces = (/** @type {{text: string}[]} */ pieces) => {
    if (asked !== model) return;
    text += pieces.map((piece) => piece.text).join("");
    $("written").textContent = prompt + text;
  };
  $("written").textContent = prompt;
  const { notes } = await asked.write(settings, { onPieces });
  if (asked === model && notes.length) $("sample-note").textContent += ` ${notes.join(" ")}`;
}

async function save() {
  if (!trainer || !run) return;
  const bytes = await trainer.ask("file", []);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([bytes], { type: "application/octet-stream" }));
  link.download = FILE;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  run.saved = run.state !== "trains";
}

/** @param {File | null} file */
function choose(file) {
  chosen = file;
  $("text").placeholder = file ? `The text of ${file.name}, ${file.size.toLocaleString("en")} bytes` : "";
  if (file) $("text").value = "";
}

$("form").onsubmit = (/** @type {Event} */ event) => {
  event.preventDefault();
  if (run?.state !== "trains") train();
};
$("stop").onclick = () => trainer?.ask("stop", []);
$("further").onclick = () => go().catch(refuse);
$("save").onclick = () => save().catch(refuse);
$("write").onclick = () => write().catch(refuse);
$("temperature").oninput = $("from").onchange = show;
$("file").onchange = () => choose($("file").files[0] ?? null);
$("text").oninput = () => {
  $("file").value = "";
  choose(null);
};
document.ondragover = (event) => {
  event.preventDefault();
  document.body.classList.add("over");
};
document.ondragleave = () => document.body.classList.remove("over");
document.ondrop = (event) => {
  event.preventDefault();
  document.body.classList.remove("over");
  const given = event.dataTransfer;
  if (run?.state === "trains" || !given) return;
  if (given.files.length) {
    $("file").files = given.files;
    choose(given.files[0]);
  } else if (given.types.includes("text/plain")) {
    choose(null);
    $("file").value = "";
    $("text").value = given.getData("text/plain");
  }
};
window.onbeforeunload = (event) => {
  if (run && !run.saved) event.preventDefault();
};
begin();
