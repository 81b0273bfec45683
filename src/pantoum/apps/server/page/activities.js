// Activities: reading, writing and the microscope can run at once, each with its own signal. A newer one of a kind ends
// the older. What fails is shown, with a way to try again.

import { Failure, hasKey, useKey } from "./server.js";

const $ = (id) => document.getElementById(id);
const PAUSE = { read: 250, write: 700, slide: 120, busy: 400 }; // ms after the last event
const timers = {};
let retry = null;
export const running = {};

// Runs `work(signal)`. `renew` is called where the model is another one by now; then it runs once more.
export async function run(kind, work, renew) {
  running[kind]?.abort();
  const control = (running[kind] = new AbortController());
  busy();
  try {
    await work(control.signal).catch(async (error) => {
      if (error.status !== 422 || control.signal.aborted) throw error;
      await renew();
      return work(control.signal);
    });
    if (!control.signal.aborted && $("error").dataset.gone) $("error").hidden = true; // the server is there again
  } catch (error) {
    if (error.name === "AbortError" || control.signal.aborted) return;
    fail(error, () => run(kind, work, renew));
  } finally {
    if (running[kind] === control) delete running[kind];
    busy();
  }
}

function busy() {
  $("stop").hidden = !running.writing;
  const idle = !Object.keys(running).length;
  if (idle) $("busy").hidden = true;
  clearTimeout(timers.busy);
  if (!idle) timers.busy = setTimeout(() => ($("busy").hidden = false), PAUSE.busy);
}

export function soon(name, act) {
  clearTimeout(timers[name]);
  timers[name] = setTimeout(act, PAUSE[name]);
}

export function fail(error, again = null) {
  if (!(error instanceof Failure)) console.error(error);
  retry = again;
  if (error.status === 401) return askKey(hasKey() ? "The server does not know this key: give another one." : "");
  $("error-text").textContent = error.message;
  $("error").dataset.gone = error.gone ? "yes" : "";
  $("retry").hidden = !again;
  $("error").hidden = false;
}

function askKey(message = "") {
  $("key-text").textContent = message;
  $("key").setAttribute("aria-invalid", String(Boolean(message)));
  $("key-form").hidden = false;
  $("key").focus();
}

function tryAgain() {
  $("error").hidden = true;
  retry?.();
}

$("dismiss").addEventListener("click", () => ($("error").hidden = true));
$("retry").addEventListener("click", tryAgain);
addEventListener("online", () => $("error").dataset.gone && tryAgain());
$("change-key").addEventListener("click", () => askKey());
$("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  useKey($("key").value.trim());
  $("key").value = "";
  $("key-form").hidden = true;
  tryAgain();
});
