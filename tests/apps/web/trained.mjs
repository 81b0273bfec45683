// Trains as the page does, for tests in Python: a JSON list of {text (base64), settings, stop_after} on stdin; for each
// the command that makes the same file, and the file (base64), or an error. With "judge" instead whether the base helps.
import { readFileSync } from "node:fs";
import { train } from "../../../src/pantoum/apps/web/index.js";
import { baseOf, helping } from "../../../src/pantoum/apps/web/training/base.js";

const module = readFileSync(process.argv[2]);
const answers = [];
for (const { text, settings, judge, stop_after: stopAfter = Infinity } of JSON.parse(readFileSync(0, "utf8"))) {
  try {
    if (settings.from) settings.from = new Uint8Array(Buffer.from(settings.from, "base64"));
    if (judge) {
      answers.push(await helping(module, await baseOf(settings.from, "base:it"), new Uint8Array(Buffer.from(text, "base64"))));
      continue;
    }
    const training = await train(Buffer.from(text, "base64"), settings, { module });
    while (!training.finished && training.step < stopAfter) training.next();
    answers.push({ command: training.command, file: Buffer.from(training.file()).toString("base64"), notes: training.notes });
  } catch (error) {
    answers.push({ error: error.message, kind: error.name });
  }
}
process.stdout.write(JSON.stringify(answers));
