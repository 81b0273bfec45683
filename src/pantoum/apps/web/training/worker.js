// Training in a worker, so that the page never waits: it tells of each step, and between two of them it hears messages.

import { Core } from "../core.js";
import { expanded, told } from "../messages.js";
import { baseOf, helping } from "./base.js";
import { Training } from "./training.js";

/** Milliseconds between two reports, and at least between two samples, of which a run has so many. */
const [REPORTS, PAUSE, SAMPLES] = [200, 5000, 20];
/** Steps, where none are asked for: from nothing, and from a base, where 100 KB take about a minute. */
const [STEPS, TUNING_STEPS] = [500, 60];
/** Units and layers from nothing, where none are asked for. */
const SIZES = [128, 1];

/** @type {Training} */
let training;
let running = false;

/** @type {Record<string, (...given: any[]) => any>} */
const CALLS = {
  /** From the base that is given, if it is asked for, or helps and no other model or tokens are asked for. */
  async begin(/** @type {Uint8Array<ArrayBuffer>} */ packed, /** @type {Uint8Array} */ text, /** @type {any} */ asked) {
    const { from, baseName, baseFile, name, kind, sizes, steps, seed } = asked;
    const module = await expanded(packed);
    let [base, reason] = [from === "nothing" ? null : await baseOf(await expanded(baseFile), baseName), ""];
    if (base && from !== "base") {
      if (sizes || (kind && kind !== base.spec.kind)) base = null;
      else ({ base, reason } = await helping(module, base, text));
    }
    const [units, layers] = base ? [] : (sizes ?? SIZES);
    const settings = { name, kind: from === "base" ? null : kind, steps: steps ?? (base ? TUNING_STEPS : STEPS), units, layers, seed, base };
    training = new Training(await Core.load(module), text, settings);
    const { parameters, notes, command, recipe } = training;
    return { parameters, notes: [reason, ...notes], command, kind: training.kind, steps: training.steps, ...recipe };
  },
  /** Trains until it is stopped, or to the end. */
  async run(/** @type {(report: any) => void} */ report) {
    running = true;
    let [reported, sampled, seconds] = [performance.now(), performance.now(), 0];
    /** @type {[number, number][]} */
    let losses = [];
    const tell = () => {
      const { step, tokens } = training;
      report({ losses, step, tokens, seconds });
      [losses, seconds] = [[], 0];
      reported = performance.now();
    };
    try {
      while (running && !training.finished) {
        const began = performance.now();
        const loss = training.next();
        seconds += (performance.now() - began) / 1000;
        losses.push([training.step, loss]);
        if (performance.now() - reported >= REPORTS) tell();
        const due = training.step % Math.max(1, Math.floor(training.steps / SAMPLES)) === 0 && performance.now() - sampled >= PAUSE;
        if (due && !training.finished) {
          report({ model: training.file(), step: training.step });
          sampled = performance.now();
        }
        await new Promise((resolve) => setTimeout(resolve));
      }
    } finally {
      running = false;
      tell();
    }
    return { finished: training.finished, step: training.step };
  },
  stop: () => void (running = false),
  file: () => training.file(),
};

onmessage = async ({ data: { id, call, given } }) => {
  try {
    const value = await CALLS[call](...(call === "run" ? [(/** @type {any} */ report) => postMessage({ id, pieces: report })] : given));
    postMessage({ id, value });
  } catch (error) {
    postMessage({ id, error: told(error) });
  }
};
