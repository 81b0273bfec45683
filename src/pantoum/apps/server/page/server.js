// Requests to the server that this page came from. A failure is a Failure, whose message a person can read.

const KEY = "pantoum.key"; // for the time that this tab is open

export class Failure extends Error {
  constructor(message, status = 0) {
    super(message);
    this.status = status;
  }
}

let key = null;
try {
  key = sessionStorage.getItem(KEY);
} catch {
  // The browser refuses it to this page: the key is asked for again.
}

export const hasKey = () => key !== null;
export function useKey(given) {
  key = given;
  try {
    sessionStorage.setItem(KEY, key);
  } catch {
    // As above.
  }
}

const headers = () => {
  return { "Content-Type": "application/json", ...(key ? { Authorization: `Bearer ${key}` } : {}) };
};

async function asked(path, body, signal) {
  if (/[^\x21-\x7e]/.test(key ?? "")) throw new Failure("This is not a key.", 401); // no header can carry it
  let response;
  try {
    // Below the prefix of a proxy, too: this file is at PREFIX/page/server.js.
    response = await fetch(new URL(`..${path}`, import.meta.url), {
      method: body ? "POST" : "GET",
      headers: headers(),
      body: body && JSON.stringify(body),
      signal,
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    const message = "The server does not answer. What you write is kept in this browser. Is pantoum serve still running?";
    throw Object.assign(new Failure(message), { gone: true });
  }
  if (response.ok) return response;
  let message = `${response.status} ${response.statusText}`;
  try {
    message = (await response.json()).error.message;
  } catch {
    // The answer of a proxy, say: its status has to do.
  }
  if (response.status === 429) message = `The server is busy: ${message}`;
  throw new Failure(message, response.status);
}

export const models = async () => (await (await asked("/v1/models")).json()).data;
export const ask = async (path, body, signal) => (await asked(path, body, signal)).json();

// The events of a streamed answer, as objects.
export async function* stream(path, body, signal) {
  const reader = (await asked(path, { ...body, stream: true }, signal)).body
    .pipeThrough(new TextDecoderStream())
    .getReader();
  let waiting = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) throw new Failure("The connection to the server was lost before the text ended.");
      const events = (waiting + value).split("\n\n");
      waiting = events.pop();
      for (const event of events) {
        const data = event.replace(/^data: /, "");
        if (data === "[DONE]") return;
        const found = JSON.parse(data);
        if (found.error) throw new Failure(found.error.message);
        yield found;
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}
