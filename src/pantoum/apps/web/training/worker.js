// Training in a worker, so that the page never waits: it tells of each step, and between two of them it hears messages.

import { Core } from "../core.js";
import { expanded, told } from "../messages.js";
import { Training } from "./training.js";

/** Milliseconds between two reports, and at least between two samples, of which a run has so many. */
const [REPORTS, PAUSE, SAMPLES] = [200, 5000, 20];

/** @type {Training} */
let training;
let running = false;

/** @type {Record<string, (...given: any[]) => any>} */
const CALLS = {
  async begin(/** @type {Uint8Array<ArrayBuffer>} */ module, /** @type {Uint8Array} */ text, /** @type {any} */ settings) {
    training = new Training(await Core.load(await expanded(module)), text, settings);
    const { parameters, notes, command, kind, recipe } = training;
    return { parameters, notes, command, kind, streams: recipe.streams, chunk: recipe.chunk };
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
