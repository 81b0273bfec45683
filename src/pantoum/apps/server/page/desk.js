// The desk: joins what a person does with what the server answers. Everything else is in the modules.
//
//   typing   -> blocks (what changed) -> kept; reading of the blocks near -> colours, states
//   Continue -> alternatives -> take: into the text; fork: a branch of its own

import { fail, run as started, running, soon } from "./activities.js";
import { Alternatives, COUNT } from "./alternatives.js";
import { spread, text as joined } from "./blocks.js";
import { Branches } from "./branches.js";
import * as controls from "./controls.js";
import { Kept } from "./kept.js";
import { activations, fitting, following, list } from "./microscope.js";
import { Mirror } from "./mirror.js";
import { Owner } from "./owner.js";
import { Reader } from "./reading.js";
import { Failure, hasKey, models } from "./server.js";
import { loaded, saved } from "./state_file.js";
import { figures } from "./told.js";
import { legend, tints } from "./tint.js";
import { draw } from "./tree.js";
import { Words } from "./words.js";

const $ = (id) => document.getElementById(id);
const text = $("text");
const KEEP = 400; // ms after the first change that is not kept

const kept = new Kept((message) => fail(new Failure(message)));
const owner = new Owner({ owned, give: keep, changed: followed });
const mirror = new Mirror($("mirror"), $("paper"), (each) => tints(each, settings().paint), moved);
const alternatives = new Alternatives($("cards"), { take, fork: (words) => onFork(words), again });
const nextWords = new Words($("words"), text, { model: () => model()?.id, wanted: () => settings().suggest && owner.owns });
const readers = new Map(); // by the branch's id
let branches = null;
let known = []; // the server's models
let keeping = null; // the timer
let typing = false; // since the text was read
let asked = 0; // the place in the text at which the alternatives go on

const settings = () => branches?.settings ?? { paint: "none" }; // until what is kept was read
const model = () => known.find((each) => each.id === settings().model);

const say = (message) => ($("status").textContent = message);
const run = (kind, work) => started(kind, work, renew);

// The model's file has changed: what is known of it, and the states that are kept, belong to the model before.
async function renew() {
  known = await models();
  readers.clear();
  Object.assign(branches.current, { state: null, border: null });
  shown();
  mirror.show(reader().blocks);
}

// The text and what is known of it. -------------------------------------------------------------------------

function reader(branch = branches.current) {
  if (!readers.has(branch.id)) {
    const made = new Reader(settings().model, branch.base, branch.text);
    for (const state of [branch.border, branch.state]) if (state && state.model === model()?.fingerprint) made.know(state);
    readers.set(branch.id, made);
  }
  return readers.get(branch.id);
}

function show() {
  setAside();
  owner.show(branches.current.id);
  text.value = branches.current.text;
  mirror.show(reader().blocks);
  legend($("legend"), settings().paint);
  say("");
  soon("read", read);
  tree();
}

// Somebody has changed the text. `mine`: here, and not in another tab.
function changed(mine = true) {
  const branch = branches.current;
  const words = mine ? text.value : branch.text;
  branch.text = words;
  const { at, removed, inserted, first, gone, made } = reader().edit(words);
  if (gone || made.length) mirror.replace(first, gone, made);
  if (asked > at) asked = Math.max(at, asked - removed) + inserted.length;
  if (removed || inserted) for (const name of ["state", "border"]) if (branch[name]?.length > at) branch[name] = null;
  soon("read", read);
  typing = true;
  if (!mine) return;
  if (at + inserted.length === words.length) $("paper").scrollTop = $("paper").scrollHeight; // the paper grew after the cursor moved
  keeping ??= setTimeout(keep, KEEP);
  if (settings().auto) soon("write", () => write(false));
}

function keep() {
  clearTimeout(keeping);
  keeping = null;
  if (!branches || !owner.owns) return;
  branches.save();
  tree();
}

function moved() {
  if (!branches) return;
  if (settings().paint === "unit" || mirror.near().some(({ fresh }) => !fresh)) soon("read", read);
}

function read() {
  const branch = branches.current;
  return run("reading", async (signal) => {
    if (!model()) return;
    const { paint } = settings();
    const [first, last] = reader().range(mirror.near());
    await reader().read(first, last, (run) => paint === "surprisal" && mirror.tint(run), signal);
    const fingerprint = reader().fingerprint ?? model().fingerprint;
    if (fingerprint !== model().fingerprint) {
      await renew();
      return soon("read", read);
    }
    const [state, border] = reader().states();
    branch.state = state && { ...state, model: fingerprint };
    branch.border = border && { ...border, model: fingerprint };
    keep();
    typing = false;
    told();
    if (paint === "unit") look();
  });
}

function told() {
  const { blocks, notes } = reader();
  const line = figures(blocks, text.selectionStart, model()?.unit === "word");
  if (line || !blocks.length) say([line, ...(line ? notes : [])].join(". "));
}

// Several tabs. ---------------------------------------------------------------------------------------------

function owned(owns) {
  text.readOnly = !owns;
  $("elsewhere").hidden = owns;
  const { id, text: words } = branches.current;
  if (kept.values.get(`text.${id}`) === words) return;
  if (owns) return keep();
  branches.fork(words.length, words); // typed while the text was taken away
  show();
}

function followed(id, branch) {
  if (!branches) return;
  branches.follow(id, branch);
  if (branch?.text !== undefined && id === branches.current.id) {
    const at = text.selectionStart === text.value.length ? branch.text.length : text.selectionStart;
    text.value = branch.text;
    text.setSelectionRange(at, at);
    changed(false);
  }
  tree();
}

// Writing. --------------------------------------------------------------------------------------------------

function write(move, at = text.selectionEnd) {
  asked = at;
  return run("writing", async (signal) => {
    $("alternatives").hidden = false;
    if (move) $("alternatives").focus();
    say("Writing …");
    const request = {
      ...(await prompt(signal)),
      max_tokens: settings().length,
      temperature: settings().temperature,
      top_p: settings().topP,
      seed: alternatives.seed,
    };
    const slots = model()?.slots ?? COUNT;
    await alternatives.write(request, slots, (count) => say(`Writing: ${count.toLocaleString("en")} characters`), signal);
    if (!signal.aborted) say(slots < COUNT ? "The alternatives are written." : "Three alternatives are written.");
  });
}

// What stands before the place; while it is read, the text may change.
async function prompt(signal) {
  for (;;)
    try {
      return await reader().prompt(asked, signal);
    } catch (error) {
      if (error.name !== "AbortError" || signal.aborted) throw error;
    }
}

function again() {
  alternatives.reseed();
  return write(false, asked);
}

function take(words) {
  if (text.readOnly) return onFork(words);
  running.writing?.abort();
  text.focus();
  text.setSelectionRange(asked, asked);
  // The one way that leaves Ctrl+Z working; browsers without it get the text all the same.
  if (!document.execCommand("insertText", false, words)) {
    text.setRangeText(words, asked, asked, "end");
    changed();
  }
  setAside();
  alternatives.reseed();
  say("Taken.");
}

function onFork(words, at = asked) {
  const from = reader();
  const start = text.value.slice(0, at);
  keep();
  const made = branches.fork(at, start + words);
  readers.set(made.id, from.fork(made.text, at));
  show();
  text.focus();
  text.setSelectionRange(text.value.length, text.value.length);
  alternatives.reseed();
  say("A fork was made.");
}

function setAside() {
  running.writing?.abort();
  alternatives.clear();
  $("alternatives").hidden = true;
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
  keep();
  branches.open(branch.id);
  show();
}

async function remove(branch) {
  if (!(await owner.free(branch.id))) return fail(new Failure("This text is written in another tab: delete it there."));
  if (branch.text && !confirm("Delete this text? Its forks stay.")) return;
  readers.delete(branch.id);
  branches.remove(branch.id);
  if (owner.id === branch.id) show();
  else tree();
}

function download(branch) {
  return run("downloading", async (signal) => {
    say("Reading the text …");
    const own = reader(branch);
    await own.reach(own.blocks.length, signal);
    const { seen } = saved({ model: settings().model, fingerprint: own.fingerprint ?? model().fingerprint, ...own.blocks.at(-1).exit, text: branch.text, base: branch.base });
    say(`The state after ${seen.toLocaleString("en")} tokens was downloaded.`);
  });
}

async function load(file) {
  try {
    const found = await loaded(file, known, settings().model);
    if (found.model !== settings().model) choose(found.model);
    keep();
    branches.add(found.branch);
    show();
    say(`${file.name} is loaded.`);
  } catch (error) {
    fail(error);
  }
}

// The microscope. -------------------------------------------------------------------------------------------

function look() {
  return run("looking", async (signal) => {
    const { blocks } = reader();
    const part = fitting(mirror.near());
    if (!part.length || !model()) return;
    const { layer, unit } = settings();
    const found = await activations(settings().model, part, layer * model().hidden_size + unit, signal);
    if (signal.aborted) return;
    spread(found, part, "values");
    const whole = part.length === blocks.length;
    $("microscope-status").textContent = `Unit ${unit} of layer ${layer}${whole ? "" : ", over the part that is shown"}.`;
    mirror.tint();
  });
}

function find() {
  return run("looking", async (signal) => {
    const part = joined(fitting(mirror.near()));
    if (!part) return ($("microscope-status").textContent = "Write a few lines first: units are found by how they follow the text.");
    const found = await following(settings().model, part, $("feature").value, signal);
    list($("units"), found, pick);
    $("microscope-status").textContent = found.length ? "Choose a unit to see it over the text." : "No unit was found.";
  });
}

function pick(layer, unit) {
  Object.assign(settings(), { layer, unit, paint: "unit" });
  for (const each of reader().blocks) each.values = null;
  shown();
  painted();
}

function painted() {
  branches.set();
  mirror.tint();
  legend($("legend"), settings().paint);
  if (settings().paint === "unit") look();
  else read();
}

// Controls. -------------------------------------------------------------------------------------------------

const shown = () => controls.show(settings(), model());

function choose(id) {
  settings().model = id;
  branches.set();
  readers.clear();
  shown();
}

controls.listen(settings, {
  sampling() {
    shown();
    branches.set();
    if (!$("alternatives").hidden) soon("slide", () => write(false, asked));
  },
  kept: () => branches.set(),
  paint: painted,
  unit: pick,
});

text.addEventListener("input", () => {
  changed();
  nextWords.typed();
});
document.addEventListener("selectionchange", () => branches && document.activeElement === text && !running.writing && !typing && told());
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    write(true);
  } else if (event.key === "Escape") stop();
});
$("alternatives").addEventListener("keydown", (event) => alternatives.key(event));

const on = (id, act) => $(id).addEventListener("click", act);
on("continue", () => write(true));
on("again", again);
on("stop", stop);
on("fork", () => onFork("", text.selectionEnd));
on("find", find);
on("here", () => owner.take());
on("new", () => {
  keep();
  branches.add({});
  show();
  text.focus();
});
$("load").addEventListener("change", async () => {
  const [file] = $("load").files;
  if (file) await load(file);
  $("load").value = ""; // the same file can be loaded again
});
$("model").addEventListener("change", () => {
  choose($("model").value);
  show();
});
for (const name of ["pagehide", "blur"]) addEventListener(name, () => keeping && keep());
addEventListener("pagehide", () => owner.leave("free"));
addEventListener("pageshow", ({ persisted }) => persisted && owner.show(owner.id));
document.addEventListener("visibilitychange", () => {
  if (document.hidden) keep();
  else if (owner.id && !owner.owns) owner.show(owner.id);
});
addEventListener("beforeunload", (event) => kept.lost.size && event.preventDefault());

function begin() {
  return run("beginning", async () => {
    known = await models();
    $("change-key").hidden = !hasKey();
    $("model").replaceChildren(...known.map(({ id }) => new Option(id, id)));
    if (!model()) settings().model = known[0].id;
    readers.clear();
    shown();
    mirror.show(reader().blocks);
    read();
  });
}

await kept.open();
branches = new Branches(kept, (message) => fail(new Failure(message)), (id, branch) => owner.tell(id, branch));
if (!matchMedia("(hover: hover)").matches) text.placeholder = "Write something here.";
shown();
show();
begin();
