// The stream or ladder that is looked at: it plays, and everything there is to know of it.
import { at, call } from "./api.js";
import { sure } from "./confirm.js";
import { copy } from "./copy.js";
import { $, el, keyed, put, set } from "./dom.js";
import { Ladder } from "./ladder.js";
import { id } from "./list.js";
import { Plot } from "./plot.js";
import { Screens } from "./screens.js";
import { Strip } from "./strip.js";
import { bytes, millis, picture, rate, seconds, span } from "./text.js";

const plots = {
  bitrate: { title: "Bit rate", hint: "What the publisher sends", format: rate, least: 1e5 },
  pictures: { title: "Frame rate", hint: "Pictures that came in a second", format: (v) => v + " fps", least: 10 },
  keyframe_interval: { title: "Keyframe interval", hint: "2 s is good: a segment begins with a keyframe", format: seconds, least: 2 },
  skew: { title: "A/V skew", hint: "Above nought: sound is sent ahead of the picture", format: millis, least: 0.1, signed: true },
  jitter: { title: "Arrival jitter", hint: "How unevenly frames come", format: millis, least: 0.05 },
};

export class Stage {
  #settings;
  #screens;
  #plots = {};
  #strip = new Strip($("strip"));
  #ladder = new Ladder($("rungs"));
  #shown = null; // the stream or the ladder
  #stream = null; // whose figures are shown

  constructor(settings) {
    this.#settings = settings;
    this.#screens = new Screens(settings);
    for (const [name, how] of Object.entries(plots)) this.#plots[name] = new Plot($("plots"), how);
    for (const b of document.querySelectorAll("[data-copy]")) b.addEventListener("click", () => copy(b, $(b.dataset.copy).value, $(b.dataset.copy)));
    $("disconnect").addEventListener("click", () => this.#act("Disconnect the publisher of " + id(this.#shown) + "?",
      "Its encoder may come back at once and goes on in the same recording. To keep it out, take its key away.", "Disconnect", "DELETE", ""));
    $("end").addEventListener("click", () => this.#act("End the recording of " + id(this.#shown) + "?",
      "Its playlists become final and the publisher is disconnected. What comes later is another recording.", "End the recording", "POST", "/end"));
    setInterval(() => this.#facts(), 1000);
  }

  // leave stops what is played.
  leave() {
    this.#screens.stop();
    this.#shown = this.#stream = null;
    $("stage").hidden = true;
  }

  // choose finds what an id names, and returns the stream whose figures it is shown with: of a ladder, its best rung that is in.
  choose(overview, chosen) {
    const ladder = overview.ladders.find((l) => id(l) === chosen);
    if (!ladder) return overview.streams.find((s) => id(s) === chosen) ?? null;
    const rungs = ladder.rungs ?? [], stream = (r) => overview.streams.find((s) => s.app === ladder.app && s.name === r.stream);
    return stream(rungs.find((r) => r.state === "in" && stream(r)) ?? rungs.find(stream) ?? {}) ?? null;
  }

  draw(overview, chosen, detail) {
    const ladder = overview.ladders.find((l) => id(l) === chosen) ?? null;
    const stream = this.choose(overview, chosen);
    const s = this.#shown = ladder ?? stream;
    this.#stream = stream;
    $("stage").hidden = !s;
    if (!s) {
      this.#screens.stop();
      return;
    }
    put($("title"), id(s));
    put($("state"), s.state);
    set($("state"), "class", "state " + s.state);
    $("play").value = this.#settings.origin + "/" + s.play;
    $("play-low").value = s.play_low_latency ? this.#settings.origin + "/" + s.play_low_latency : "";
    $("play-low-row").hidden = !s.play_low_latency;
    $("archive").value = s.archive ? this.#settings.origin + "/" + s.archive : "";
    const sources = ladder ? overview.streams.filter((s) => s.app === ladder.app && s.ladder === ladder.name) : [stream];
    $("disconnect").disabled = !sources.some((s) => s.protocol);
    $("end").disabled = s.state === "ended" || !!stream?.ladder && !ladder;
    this.#screens.draw(s);
    const mine = detail && stream && detail.app === stream.app && detail.name === stream.name ? detail : null;
    const now = Math.floor(new Date(overview.at) / 1000);
    for (const [name, plot] of Object.entries(this.#plots)) {
      const has = (i) => name === "skew" ? i.pictures && i.sounds : name === "keyframe_interval" ? i.keyframe_interval : true;
      plot.draw((mine?.input ?? []).filter(has).map((i) => [i.at, i[name]]), now);
    }
    put($("strip-of"), ladder && stream ? "of " + stream.name : "");
    this.#strip.draw(mine, overview.stores.length > 0);
    this.#ladder.draw(ladder, overview.streams);
    this.#facts();
  }

  #facts() {
    const s = this.#stream;
    if (!s) return;
    const { behind, buffered, dropped } = this.#screens.figures();
    const facts = [
      ["on the air", span((Date.now() - new Date(s.started)) / 1000)], ["picture", picture(s)], ["codecs", s.codecs.replaceAll(",", ", ") || "–"],
      ["segments", s.segments + (s.gaps ? " (" + s.gaps + " lost)" : "")], ["target duration", s.target_duration + " s"],
      ["not in the bucket yet", bytes(s.unsent)], ["publisher", s.remote ? s.protocol + " from " + s.remote : "away"],
      ["since the newest frame", seconds(Math.max(0, (Date.now() - new Date(s.last_frame)) / 1000))],
      ["frames written", s.tracks.map(track).join(" · ") || "–"], ["media behind its clock", s.input.at ? millis(s.input.behind) : "–"],
      ["player behind live", s.state === "live" ? seconds(behind) : "–"], ["player's buffer", seconds(buffered)], ["player dropped", isNaN(dropped) ? "–" : dropped + " frames"],
    ];
    keyed($("facts"), facts, ([what]) => what, ([what]) => el("div", null, el("dt", null, what), el("dd")), (d, [, value]) => put(d.lastElementChild, String(value)));
  }

  async #act(question, what, yes, method, end) {
    const s = this.#shown;
    if (!await sure(question, what, yes)) return;
    try {
      await call(method, "/v1/streams/" + at(s.app, s.name) + end);
      put($("said"), yes + ": done.");
    } catch (e) {
      put($("said"), e.message);
    }
  }
}

// track is what became of a track's frames: "h264 1500" or "audio 0, 300 not used (no_header 300)".
function track(t) {
  const lost = Object.entries(t.dropped);
  const all = lost.reduce((sum, [, n]) => sum + n, 0);
  return (t.codec || t.kind) + " " + t.written + (all ? ", " + all + " not used (" + lost.map(([why, n]) => why + " " + n).join(", ") + ")" : "");
}
