// What the server pushes: an overview each second, the detail of the stream that is looked at, and events. EventSource cannot send a
// token, so this reads the stream by itself.
import { open, query } from "./api.js";
import { Declined } from "./token.js";

const longest = 15000; // milliseconds between two attempts

// Feed calls on(type, value) for each message, and state(text, declined) when the connection is lost, with why, and when it is back,
// with "". One that was lost for want of a token is tried again by watch alone.
export class Feed {
  #on;
  #state;
  #last = "";      // the id of the newest event
  #watched = null; // as the query has it
  #stop = null;    // ends the connection

  constructor(on, state) {
    this.#on = on;
    this.#state = state;
  }

  // watch says which stream is looked at; none where app is empty.
  watch(app, stream) {
    const watched = query({ app, stream });
    if (watched === this.#watched) return;
    this.#watched = watched;
    this.#stop?.abort();
    this.#stop = new AbortController();
    this.#run(watched, this.#stop.signal);
  }

  async #run(watched, signal) {
    for (let wait = 1000; !signal.aborted; wait = Math.min(2 * wait, longest)) {
      try {
        const headers = this.#last ? { "Last-Event-ID": this.#last } : {};
        const response = await open("GET", "/v1/watch" + watched, { signal, headers });
        this.#state("");
        wait = 500;
        await this.#read(response.body, signal);
        if (!signal.aborted) this.#state("The connection to the server is lost.");
      } catch (e) {
        if (signal.aborted) return;
        if (e instanceof Declined) {
          this.#watched = null; // until it is asked again
          this.#state(e.message, true);
          return;
        }
        this.#state(e.status ? e.message : "The connection to the server is lost.");
      }
      await new Promise((again) => setTimeout(again, wait));
    }
  }

  async #read(body, signal) {
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    try {
      for (;;) {
        const { value, done } = await reader.read();
        if (done || signal.aborted) return;
        const messages = (rest + value).split("\n\n");
        rest = messages.pop();
        for (const m of messages) this.#take(m);
      }
    } finally {
      reader.cancel().catch(() => {}); // it may be broken already
    }
  }

  #take(message) {
    const { id, event, data } = parse(message);
    if (id) this.#last = id;
    if (event && data) this.#on(event, JSON.parse(data), id);
  }
}

// parse takes one server-sent message apart.
export function parse(message) {
  const out = { id: "", event: "", data: "" };
  for (const line of message.split("\n")) {
    const colon = line.indexOf(":");
    if (colon < 1) continue; // a comment
    const name = line.slice(0, colon), value = line.slice(colon + 1).replace(/^ /, "");
    if (name === "data") out.data += (out.data && "\n") + value;
    else if (name in out) out[name] = value;
  }
  return out;
}
