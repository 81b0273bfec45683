// Training in a page: what `pantoum train TEXT --steps N --valid-fraction 0` does on one thread, step by step, and the
// same model file, byte for byte, for a GRU of these units and layers, or with `--from` for that of a base. Nothing is held out, because the figures of a
// held-out text stand beside those of xz and bz2 in the file, which no browser has.

import { shapeOf } from "../config.js";
import { need, seedOf, whole } from "../errors.js";
import { grown } from "./base.js";
import { StatefulBatches } from "./batches.js";
import { Real, modelFile } from "./model_writer.js";
import { Optimizer } from "./optimizer.js";
import { CLIP, WARM_UP, chosen, rateFactor } from "./recipe.js";
import { TrainedNetwork } from "./trained_network.js";
import { trainingText } from "./training_text.js";
import { UpdateGuard } from "./update_guard.js";

const VERSION = "0.1.0";
const UNITS = "losses are mean nats per token over the targets scored; tokens are counted after tokenisation";
const [EVALUATIONS, POINTS] = [20, 100];
const SCALE = "extras.adapt.";
// A larger number the card would round.
const MOST_STEPS = 999_999;

/** @typedef {{step: number, tokens: number, loss: number | null}} Point */
/** @typedef {{name?: string, kind?: "characters" | "bytes" | null, steps?: number, units?: number, layers?: number, seed?: number | bigint, base?: import("./base.js").Base | null}} TrainSettings */

export class Training {
  /**
   * @param {import("../core.js").Core} core
   * @param {Uint8Array} bytes those of the text's file
   * @param {TrainSettings} [settings]
   */
  constructor(core, bytes, { name = "text.txt", kind = null, steps = 1000, base = null, units = base?.shape.units ?? 128, layers = base?.shape.layers ?? 2, seed = 0 } = {}) {
    if (base) {
      const { shape, spec } = base;
      const same = units === shape.units && layers === shape.layers && (kind ?? spec.kind) === spec.kind;
      need(same, `${base.name} has ${shape.layers} layers of ${shape.units} units and reads ${spec.kind}: leave units, layers and kind out`);
    }
    const number = seedOf(seed);
    this.steps = whole(steps, "steps", 1, MOST_STEPS);
    this._base = base;
    this._text = trainingText(bytes, name, kind, base?.spec);
    const { tokens, symbols, spec } = this._text;
    this.kind = spec.kind;
    this.notes = this._text.notes;
    this.recipe = chosen({
      tokens: tokens.length,
      symbols,
      steps,
      units: base ? units : whole(units, "units", 16, 1024),
      layers: base ? layers : whole(layers, "layers", 1, 8),
      seed: number,
      tuned: base?.shape.embedding ?? 0,
    });
    const { streams, chunk, dropout, embedding } = this.recipe;
    this.config = { cell: "gru", hidden_size: units, num_layers: layers, embedding_size: embedding, tied: false, norm: null, residual: false, dropout: dropout ? `variational:${dropout}` : "0" };
    this.batches = new StatefulBatches(tokens, streams, chunk);
    const shape = shapeOf(this.config, symbols);
    this._network = new TrainedNetwork(core, shape, { streams: this.batches.streams, chunk: this.batches.chunk, dropout, seed: number, start: base && grown(base, symbols) });
    this._optimizer = new Optimizer(this._network, this.recipe);
    this._guard = new UpdateGuard(symbols);
    /** How many numbers the model has. */
    this.parameters = [...this._network.weights.values()].reduce((total, { size }) => total + size, 0);
    /** Steps done, and tokens trained on. */
    this.step = 0;
    this.tokens = 0;
    /** @type {Point[]} */
    this.curve = [];
    this._since = { loss: 0, updates: 0 };
  }

  /** Whether all steps are done. */
  get finished() {
    return this.step === this.steps;
  }

  /** One step; the loss of its batch, before the update. @returns {number} */
  next() {
    const rate = this.recipe.learningRate * rateFactor(this.step, this.steps);
    const batch = this.batches.next();
    const targets = batch.targets.length;
    const { loss, norm } = this._network.gradients(batch, this.step);
    if (this._guard.accepts(loss, norm)) {
      this._optimizer.update(rate, norm, targets);
      this._since.loss += loss;
      this._since.updates += 1;
    }
    this.step += 1;
    this.tokens += targets;
    const due = [EVALUATIONS, POINTS].some((times) => this.step % Math.max(1, Math.floor(this.steps / times)) === 0);
    if (due || this.finished) this._mark();
    return loss;
  }

  /** The bytes of the model as it is now: of a run that is not finished, those of `--stop-after`. */
  file() {
    /** @type {Map<string, import("./model_writer.js").Held>} */
    const arrays = new Map();
    const scales = this._optimizer.gradientScale();
    for (const weight of this._network.weights.values()) {
      arrays.set(weight.name, { kind: "F32", shape: weight.shape, values: this._network.values(weight) });
      const scale = /** @type {Float32Array} */ (scales.get(weight.name));
      arrays.set(SCALE + weight.name, { kind: "F32", shape: [weight.rows], values: scale });
    }
    return modelFile({ config: this.config, card: this._card(), tokenizer: this._text.spec, arrays });
  }

  /** The command that makes the same file. */
  get command() {
    const { units, layers, seed } = this.recipe;
    const quoted = (/** @type {string} */ name) => (/^[\w./:-]+$/.test(name) ? name : `'${name.replaceAll("'", "'\\''")}'`);
    const text = quoted(this._text.name.startsWith("-") ? `./${this._text.name}` : this._text.name);
    const [how, sizes] = this._base ? [`--from ${quoted(this._base.name)}`, ""] : [`--tokens ${this.kind}`, ` --hidden-size ${units} --num-layers ${layers}`];
    return `pantoum train ${text} ${how} --steps ${this.steps}${sizes} --valid-fraction 0 --seed ${seed}`;
  }

  /** A point of the curve: the mean loss since the last one. */
  _mark() {
    const { loss, updates } = this._since;
    this.curve.push({ step: this.step, tokens: this.tokens, loss: updates ? loss / updates : null });
    this._since = { loss: 0, updates: 0 };
  }

  _card() {
    const { name, size, sha256, tokens, added } = this._text;
    const { optimizer, learningRate, weightDecay, average, seed, streams, chunk, pull } = this.recipe;
    return {
      pantoum: VERSION,
      units: UNITS,
      texts: [{ name, size, sha256 }],
      valid_text: null,
      tokens: { train: tokens.length },
      parameters: this.parameters,
      settings: {
        model: this.config,
        batch_size: streams,
        seq_len: chunk,
        optimizer,
        learning_rate: new Real(learningRate),
        schedule: "linear",
        warm_up: new Real(WARM_UP),
        weight_decay: new Real(weightDecay),
        clip: new Real(CLIP),
        average: new Real(average),
        precision: "float32",
        seed,
        members: 1,
        shards: 1,
        ...(pull ? { pull: new Real(pull) } : {}),
      },
      batch: { batch_size: this.batches.streams, seq_len: this.batches.chunk },
      budget: this.steps === 1 ? "1 step" : `${this.steps} steps`,
      step: this.step,
      tokens_trained: this.tokens,
      averaged: false,
      monitor: null,
      validation: null,
      peaks: null,
      curve: this.curve.map(({ step, tokens: done, loss }) => ({ step, tokens: done, loss: loss === null ? null : new Real(loss), valid: null })),
      began_from: this._base?.sha256 ?? null,
      ...(added ? { new_symbols: added } : {}),
    };
  }
}
