// Shows a recording, and makes clips of it.
import { call } from "./api.js";
import { copy } from "./copy.js";
import { $, put } from "./dom.js";
import { Player } from "./player.js";
import { Range } from "./range.js";
import { clock, date, several, span } from "./text.js";

export class Replay {
  #origin;
  #player;
  #range;
  #recording = null;
  #from = 0; // where the player's time begins in the recording, seconds
  #a = 0;
  #b = 0;

  constructor(settings) {
    this.#origin = settings.origin;
    this.#player = new Player({ video: $("replay-video"), notice: $("replay-notice"), engine: $("replay-engine"), settings });
    this.#range = new Range($("clip-range"), (a, b) => {
      [this.#a, this.#b] = [a, b];
      put($("clip-length"), span(a) + " – " + span(b) + ", " + span(b - a) + " long");
    });
    $("replay-video").addEventListener("timeupdate", () => this.#range.playhead(this.#from + $("replay-video").currentTime));
    $("clip-preview").addEventListener("click", () => this.#preview());
    $("clip-form").addEventListener("submit", (e) => {
      e.preventDefault();
      this.#make();
    });
    $("clip-copy").addEventListener("click", (e) => copy(e.target, $("clip-url").value, $("clip-url")));
    $("replay-copy").addEventListener("click", (e) => copy(e.target, $("replay-url").value, $("replay-url")));
    $("clip-play").addEventListener("click", () => this.#play($("clip-url").value, this.#a));
  }

  // show plays a recording from its begin.
  show(r) {
    this.#recording = r;
    $("replay").hidden = false;
    put($("replay-title"), r.app + "/" + r.stream);
    put($("replay-when"), date(r.start) + ", " + clock(r.start) + " · " + span(r.duration_seconds));
    $("clip").hidden = !!r.clip; // a clip of a clip is a clip of its recording
    $("replay-url").value = this.#origin + "/" + r.playlist;
    $("clip-result").hidden = true;
    put($("clip-says"), "A clip begins and ends with a segment: it may be a little longer than what is chosen.");
    this.#range.reset(r.duration_seconds, r.duration_seconds / 4, r.duration_seconds * 3 / 4);
    this.#play(this.#origin + "/" + r.playlist, 0);
    $("replay").scrollIntoView({ block: "nearest" });
    $("replay-title").focus({ preventScroll: true });
  }

  // leave stops what is played.
  leave() { this.#player.stop(); }

  #play(url, from) {
    this.#from = from;
    this.#player.stop();
    this.#player.play(url);
  }

  #instant(s) { return new Date(new Date(this.#recording.start).getTime() + 1000 * s).toISOString(); }

  #preview() {
    const r = this.#recording;
    const q = new URLSearchParams({ start: this.#instant(this.#a), end: this.#instant(this.#b) });
    this.#play(this.#origin + "/" + r.app + "/streams/" + r.stream + ".m3u8?" + q, this.#a);
  }

  async #make() {
    const r = this.#recording, button = $("clip-make");
    button.disabled = true;
    put($("clip-says"), "The clip is made …");
    $("clip-result").hidden = true;
    try {
      const c = await call("POST", "/v1/clips", { app: r.app, stream: r.stream, start: this.#instant(this.#a), end: this.#instant(this.#b), name: $("clip-name").value.trim() });
      $("clip-url").value = this.#origin + "/" + c.playlist;
      $("clip-result").hidden = false;
      put($("clip-says"), "Made of " + several(c.segments, "segment") + ": " + clock(c.start) + " – " + clock(c.end) + ", " + span(c.duration_seconds) + " long." +
        (c.gaps ? " " + several(c.gaps, "gap") + " in it." : "") + (c.left_out?.length ? " Without " + c.left_out.join(", ") + "." : "") + (c.warning ? " " + c.warning : ""));
    } catch (e) {
      put($("clip-says"), e.message);
    }
    button.disabled = false;
  }
}
