// What happened, newest first.
import { $, el, keyed, put } from "./dom.js";
import { bytes, clock, date, seconds, several } from "./text.js";

const most = 300; // that are kept

const words = {
  "stream.started": () => "is on the air",
  "stream.stalled": (d) => "stalls: " + d.reason,
  "stream.resumed": () => "goes on",
  "stream.ended": () => "has ended",
  "recording.started": () => "is recorded",
  "recording.completed": (d) => "is in the bucket to the end: " + several(d.segments, "segment") + ", " + seconds(d.duration) + ", " + bytes(d.bytes) + (d.gaps ? ", " + several(d.gaps, "gap") : ""),
  "recording.stood_down": (d) => "is another server's now: " + d.reason,
  "recording.gap": (d) => "has lost " + several(d.segments, "segment") + ": " + d.reason,
  "upload.failing": (d) => "takes nothing: " + d.error,
  "upload.healed": (d) => "takes everything again, " + several(d.segments, "segment") + " wait",
  "disk.low": (d) => d.reason,
  "clip.ready": (d) => "has a clip: " + (d.name ?? d.playlist ?? ""),
  "node.takeover": (d) => "goes on here, from the server " + d.from + ": " + d.reason,
  "job.started": (d) => "begins: " + d.input,
  "job.succeeded": (d) => "is done: " + d.output,
  "job.failed": (d) => "has failed: " + d.input + ": " + d.reason,
  "job.canceled": (d) => "is canceled: " + d.input,
};

const bad = new Set(["stream.stalled", "recording.gap", "recording.stood_down", "upload.failing", "disk.low", "job.failed"]);

export class Events {
  #all = [];
  #lost = 0;

  // take adds an event, or says that some were left out.
  take(type, value) {
    if (type === "lost") this.#lost += value.lost;
    else this.#all = [value, ...this.#all.filter((e) => e.id !== value.id)].slice(0, most);
  }

  // draw shows the newest in a list; all of them, or those of one stream.
  draw(list, { limit = most, of } = {}) {
    const shown = this.#all.filter((e) => !of || of.includes(e.data.app + "/" + e.data.stream) || !e.data.app).slice(0, limit);
    keyed(list, shown, (e) => e.id, (e) => el("li", { class: bad.has(e.type) ? "bad" : null }, el("time", { datetime: e.timestamp, title: date(e.timestamp) }, clock(e.timestamp)),
      el("b", null, e.data.app ? e.data.app + "/" + e.data.stream : e.data.job ? "a job" : e.data.target ?? "server"), el("span", null, words[e.type]?.(e.data) ?? e.type)), () => {});
    return shown.length;
  }

  drawAll() {
    const n = this.draw($("events-list"));
    $("events-none").hidden = n > 0;
    $("events-lost").hidden = !this.#lost;
    put($("events-lost"), several(this.#lost, "event") + " left out: this page was too slow.");
  }
}
