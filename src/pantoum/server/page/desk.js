// The desk: joins what a person does with what the server answers. Everything else is in the modules.
//
//   typing   -> branches (kept) -> reading -> colours behind the text, state of the branch
//   Continue -> alternatives -> take: into the text; fork: a branch of its own
//
// Three activities can run at once, each with its own signal: reading, writing and the microscope. A newer
// one of a kind ends the older.

import { Alternatives, COUNT } from "./alternatives.js";
import { Branches } from "./branches.js";
import { activations, following, visible } from "./microscope.js";
import { Reader } from "./reading.js";
import { Failure, models, useKey } from "./server.js";
import { activation, legend, paint, surprisal } from "./tint.js";
import { draw } from "./tree.js";

const $ = (id) => document.getElementById(id);
const text = $("text");
const PAUSE = { keep: 300, read: 250, write: 700, slide: 120 }; // ms after the last event

const branches = new Branches((message) => fail(new Failure(message)));
const settings = branches.settings;
const alternatives = new Alternatives($("cards"), { take, fork: (words) => onFork(words) });
const readers = new Map(); // by branch
let known = []; // the server's models
let pieces = []; // [[text, nats], ...] of the branch's text, as last read
let notes = []; // what the server said of it
let lens = null; // {begin, pieces} of one unit over the text
let seed = 1; // of the alternatives on the desk: the sliders change them, not their luck
let retry = null;

// Activities. -----------------------------------------------------------------------------------------------

const running = {};

// Runs `work(signal)`; an older one of this kind ends. Failures are shown, with a way to try again.
async function run(kind, work) {
  running[kind]?.abort();
  const control = (running[kind] = new AbortController());
  busy();
  try {
    await work(control.signal).catch(async (error) => {
      if (error.status !== 422 || control.signal.aborted) throw error;
      await renew();
      return work(control.signal);
    });
  } catch (error) {
    if (error.name === "AbortError" || control.signal.aborted) return;
    fail(error, () => run(kind, work));
  } finally {
    if (running[kind] === control) delete running[kind];
    busy();
  }
}

// The model's file has changed: what is known of it, and the states that are kept, belong to the model before.
async function renew() {
  known = await models();
  readers.clear();
  branches.current.state = null;
  controls();
}

function busy() {
  $("stop").hidden = !running.writing;
  $("busy").hidden = !Object.keys(running).length;
}

const timers = {};
function soon(name, act) {
  clearTimeout(timers[name]);
  timers[name] = setTimeout(act, PAUSE[name]);
}

function fail(error, again = null) {
  if (!(error instanceof Failure)) console.error(error);
  if (error.status === 401) {
    retry = again;
    $("key-form").hidden = false;
    $("key").focus();
    return;
  }
  retry = again;
  $("error-text").textContent = error.message;
  $("retry").hidden = !again;
  $("error").hidden = false;
}

function say(message) {
  $("status").textContent = message;
}

// The text and what is known of it. -------------------------------------------------------------------------

function reader() {
  const branch = branches.current;
  if (!readers.has(branch.id)) {
    const made = new Reader(settings.model, branch.base);
    if (branch.state?.model === fingerprint())
      made.know(branch.text.slice(0, branch.state.length), branch.state.value, branch.state.seen);
    readers.set(branch.id, made);
  }
  return readers.get(branch.id);
}

const fingerprint = () => known.find((each) => each.id === settings.model)?.fingerprint;

function show() {
  text.value = branches.current.text;
  pieces = [];
  lens = null;
  colour();
  changed();
}

function changed() {
  branches.current.text = text.value;
  colour();
  soon("keep", () => {
    branches.save();
    tree();
  });
  soon("read", read);
  if (settings.auto) soon("write", () => write(false));
}

function read() {
  const branch = branches.current;
  return run("reading", async (signal) => {
    if (!branch.text && !branch.base) {
      pieces = [];
      branch.state = null;
      colour();
      return say("");
    }
    const words = branch.text;
    const found = await reader().read(words, signal);
    if (signal.aborted) return;
    if (found.fingerprint !== fingerprint()) await renew();
    pieces = found.pieces;
    notes = found.notes ?? [];
    branch.state = { value: found.state, seen: found.seen, length: words.length, model: fingerprint() };
    branches.save();
    tree();
    colour();
    told();
    if (settings.paint === "unit") look();
  });
}

function colour() {
  if (settings.paint === "surprisal") paint($("mirror"), text.value, pieces.map(([piece, nats]) => [piece, surprisal(nats)]));
  else if (settings.paint === "unit" && lens) paint($("mirror"), text.value, lens.pieces.map(([piece, value]) => [piece, activation(value)]), lens.begin);
  else paint($("mirror"), text.value, []);
  legend($("legend"), settings.paint);
}

// The surprisal of the text, and of the token before the cursor.
function told() {
  const measured = pieces.filter(([, nats]) => nats !== null);
  if (!measured.length) return;
  let end = 0;
  const at = pieces.find(([piece]) => (end += piece.length) >= text.selectionStart);
  const mean = measured.reduce((sum, [, nats]) => sum + nats, 0) / measured.length;
  const before = at?.[1] != null && text.selectionStart > 0 ? `; “${at[0].replace("\n", "↵")}” before the cursor ${at[1].toFixed(2)}` : "";
  const words = known.find((each) => each.id === settings.model)?.unit === "word";
  const perplexity = Math.exp(mean).toLocaleString("en", { maximumSignificantDigits: 4 });
  const figure = words ? `${mean.toFixed(2)} nats per word, perplexity ${perplexity}` : `${mean.toFixed(2)} nats per token`;
  say([`${figure}${before}`, ...notes].join(". "));
}

// Writing. --------------------------------------------------------------------------------------------------

function write(move) {
  const at = text.selectionEnd;
  return run("writing", async (signal) => {
    $("alternatives").hidden = false;
    if (move) $("alternatives").focus();
    say("Writing …");
    const request = {
      ...reader().prompt(text.value.slice(0, at)),
      max_tokens: settings.length,
      temperature: settings.temperature,
      top_p: settings.topP,
      seed,
    };
    const slots = known.find((each) => each.id === settings.model)?.slots ?? COUNT;
    await alternatives.write(request, slots, (count) => say(`Writing: ${count.toLocaleString("en")} characters`), signal);
    if (!signal.aborted) say(slots < COUNT ? "The alternatives are written." : "Three alternatives are written.");
  });
}

function again() {
  seed = Math.floor(Math.random() * 2 ** 31);
  return write(false);
}

function put(at, words) {
  text.focus();
  text.setSelectionRange(at, at);
  // The one way that leaves Ctrl+Z working; browsers without it get the text all the same.
  if (!document.execCommand("insertText", false, words)) text.setRangeText(words, at, at, "end");
}

function take(words) {
  running.writing?.abort();
  put(text.selectionEnd, words);
  finished("Taken.");
}

function onFork(words) {
  running.writing?.abort();
  const at = text.selectionEnd;
  branches.fork(at, text.value.slice(0, at) + words);
  show();
  text.focus();
  text.setSelectionRange(text.value.length, text.value.length);
  finished("A fork was made.");
}

function finished(message) {
  alternatives.clear();
  $("alternatives").hidden = true;
  seed = Math.floor(Math.random() * 2 ** 31);
  changed();
  say(message);
}

function stop() {
  running.writing?.abort();
  text.focus();
  say("");
}

// Forks and states. -----------------------------------------------------------------------------------------

function tree() {
  draw($("tree"), branches, { open, download, remove });
}

function open(branch) {
  branches.open(branch.id);
  show();
  tree();
}

function remove(branch) {
  if (branch.text && !confirm("Delete this text? Its forks stay.")) return;
  readers.delete(branch.id);
  branches.remove(branch.id);
  open(branches.current);
}

function download(branch) {
  const { value: state, seen, length } = branch.state;
  const kept = { model: settings.model, fingerprint: branch.state.model, tokens_seen: seen, text: branch.text.slice(0, length), base: branch.base, state };
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([JSON.stringify(kept)], { type: "application/json" }));
  link.download = `state-${seen}.json`;
  link.click();
  URL.revokeObjectURL(link.href);
  say(`The state after ${seen.toLocaleString("en")} tokens was downloaded.`);
}

async function load(file) {
  let found;
  try {
    found = JSON.parse(await file.text());
  } catch {
    found = null;
  }
  if (typeof found?.state !== "string")
    return fail(new Failure(`${file.name} holds no state: give a file that “download state” made.`));
  if (found.fingerprint && found.fingerprint !== fingerprint()) {
    const own = known.find((each) => each.fingerprint === found.fingerprint);
    if (!own) return fail(new Failure(`${file.name} is a state of another model (${found.model}): serve that model to go on from it.`));
    choose(own.id);
  }
  const words = typeof found.text === "string" ? found.text : "";
  const base = words ? (found.base ?? null) : found.state;
  branches.add({ text: words, base, state: words ? { value: found.state, seen: found.tokens_seen ?? 0, length: words.length, model: fingerprint() } : null });
  show();
  tree();
  say(`${file.name} is loaded.`);
}

// The microscope. -------------------------------------------------------------------------------------------

const number = () => settings.layer * (known.find((each) => each.id === settings.model)?.hidden_size ?? 0) + settings.unit;

function look() {
  return run("looking", async (signal) => {
    const [begin, part] = visible(text.value, pieces);
    if (!part) return;
    const found = await activations(settings.model, part, number(), signal);
    if (signal.aborted) return;
    lens = { begin, pieces: found };
    $("microscope-status").textContent = `Unit ${settings.unit} of layer ${settings.layer}` + (begin ? `, over the last ${part.length.toLocaleString("en")} characters.` : ".");
    colour();
  });
}

function find() {
  return run("looking", async (signal) => {
    const [, part] = visible(text.value, pieces);
    if (!part) return ($("microscope-status").textContent = "Write a few lines first: a unit is found by how it follows them.");
    const found = await following(settings.model, part, $("feature").value, signal);
    $("units").replaceChildren(
      ...found.map(({ layer, index, correlation }) => {
        const item = document.createElement("li");
        const button = Object.assign(document.createElement("button"), { type: "button" });
        button.append(Object.assign(document.createElement("span"), { textContent: `layer ${layer}, unit ${index}` }), `correlation ${correlation.toFixed(2)}`);
        button.addEventListener("click", () => pick(layer, index));
        item.append(button);
        return item;
      }),
    );
    $("microscope-status").textContent = found.length ? "Choose a unit to see it over the text." : "No unit was found.";
  });
}

function pick(layer, unit) {
  Object.assign(settings, { layer, unit, paint: "unit" });
  lens = null;
  controls();
  branches.save();
  look();
}

// Controls. -------------------------------------------------------------------------------------------------

const SLIDERS = [["temperature", "temperature", 2], ["top-p", "topP", 2], ["length", "length", 0]];

function controls() {
  for (const [id, name, digits] of SLIDERS) {
    $(id).value = settings[name];
    $(`${id}-value`).textContent = Number(settings[name]).toFixed(digits);
  }
  $("auto").checked = settings.auto;
  $(`paint-${settings.paint}`).checked = true;
  $("layer").value = settings.layer;
  $("unit").value = settings.unit;
  const model = known.find((each) => each.id === settings.model);
  if (!model) return;
  $("model").value = model.id;
  $("layer").max = model.members * model.layers - 1; // the layers of one member after another
  $("unit").max = model.hidden_size - 1;
  $("facts").textContent = `${model.members > 1 ? `${model.members} members of ` : ""}${model.layers} × ${model.hidden_size} ${model.cell.toUpperCase()}, ${model.vocabulary.toLocaleString("en")} symbols (${model.tokens})`;
}

function choose(id) {
  settings.model = id;
  readers.clear();
  alternatives.clear();
  $("alternatives").hidden = true;
  branches.save();
  controls();
}

for (const [id, name] of SLIDERS)
  $(id).addEventListener("input", () => {
    settings[name] = Number($(id).value);
    controls();
    branches.save();
    if (!$("alternatives").hidden) soon("slide", () => write(false));
  });
for (const name of ["layer", "unit"])
  $(name).addEventListener("change", () => {
    const value = Math.max(0, Math.min(Number($(name).max), Math.round(Number($(name).value)) || 0));
    pick(name === "layer" ? value : settings.layer, name === "unit" ? value : settings.unit);
  });
for (const radio of document.getElementsByName("paint"))
  radio.addEventListener("change", () => {
    settings.paint = radio.value;
    branches.save();
    colour();
    if (settings.paint === "unit") look();
  });

text.addEventListener("input", changed);
document.addEventListener("selectionchange", () => document.activeElement === text && !running.writing && told());
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    write(true);
  } else if (event.key === "Escape") stop();
});
$("alternatives").addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const digit = /^(?:Digit|Numpad)([1-3])$/.exec(event.code);
  const words = digit && alternatives.texts[digit[1] - 1];
  if (words) {
    event.preventDefault();
    if (event.shiftKey) onFork(words);
    else take(words);
  } else if (event.key.toLowerCase() === "n") again();
});

$("continue").addEventListener("click", () => write(true));
$("again").addEventListener("click", again);
$("stop").addEventListener("click", stop);
$("fork").addEventListener("click", () => onFork(""));
$("new").addEventListener("click", () => {
  branches.add({});
  show();
  tree();
  text.focus();
});
$("load").addEventListener("change", async () => {
  const [file] = $("load").files;
  if (file) await load(file);
  $("load").value = ""; // the same file can be loaded again
});
$("find").addEventListener("click", find);
$("auto").addEventListener("change", () => {
  settings.auto = $("auto").checked;
  branches.save();
});
$("model").addEventListener("change", () => {
  choose($("model").value);
  show();
});
$("dismiss").addEventListener("click", () => ($("error").hidden = true));
$("retry").addEventListener("click", () => {
  $("error").hidden = true;
  retry?.();
});
$("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  useKey($("key").value);
  $("key-form").hidden = true;
  (retry ?? begin)();
});
addEventListener("pagehide", () => branches.save());

function begin() {
  return run("beginning", async () => {
    known = await models();
    $("model").replaceChildren(...known.map(({ id }) => new Option(id, id)));
    if (!known.some((each) => each.id === settings.model)) settings.model = known[0].id;
    controls();
    show();
    tree();
  });
}

controls();
text.value = branches.current.text;
colour();
tree();
begin();
