// One player: the browser's own HLS first, hls.js where there is none or where it gives up; "?player=hls.js" takes the latter at once.
// With low latency it is the other way round: browsers other than Safari have none of that, and Safari only over HTTP/2.
import { el, put, set } from "./dom.js";

// nearLive has a player with low latency play a little faster, which nobody hears, to come to where PART-HOLD-BACK lets it be after it fell
// behind; where it is farther behind than farBehind it jumps. That is set afterwards: given to the constructor it wants a liveSyncDurationCount
// beside it, which would count instead of PART-HOLD-BACK. hls.js plays faster only up to a target duration from where it wants to be.
const nearLive = { maxLiveSyncPlaybackRate: 1.1 };
const farBehind = 1.5; // target durations

let script = null; // the promise of hls.js, once asked for

function load({ hls_js, integrity }) {
  return script ??= new Promise((resolve, reject) => {
    document.head.append(el("script", {
      src: hls_js, integrity: integrity || null, crossorigin: "anonymous",
      onload: () => resolve(window.Hls),
      onerror: () => {
        script = null;
        reject(new Error("hls.js did not come from " + hls_js + ". A program that is built after make web has its own"));
      },
    }));
  });
}

export class Player {
  #video;
  #notice;
  #engine;
  #start;
  #settings;
  #low;
  #playing = ""; // what it was started with
  #hls = null;

  // notice shows what is wrong, engine what plays. start is a button that is shown where the browser does not play before somebody
  // presses something; it may be left out. low says that low latency is wanted.
  constructor({ video, notice, engine, start, settings, low }) {
    this.#video = video;
    this.#notice = notice;
    this.#engine = engine;
    this.#start = start;
    this.#settings = settings;
    this.#low = !!low;
    video.addEventListener("playing", () => this.#refused(false));
  }

  get video() { return this.#video; }

  // play plays a URL, unless it is played already under the same name. script says that hls.js is preferred: it knows how old is
  // what it shows.
  play(url, name = url, script = this.#low) {
    if (name === this.#playing) return;
    this.stop();
    this.#playing = name;
    const own = this.#video.canPlayType("application/vnd.apple.mpegurl") && new URLSearchParams(location.search).get("player") !== "hls.js";
    if (own && !script) this.#byBrowser(url, name, true);
    else this.#withScript(url, name, !!own);
  }

  // start begins to play after a press of a button, where the browser wanted one: where it would have been by now.
  start() {
    if (!this.#playing || !this.#video.paused) return;
    const live = this.#hls?.liveSyncPosition;
    if (live > this.#video.currentTime) this.#video.currentTime = live;
    this.#begin();
  }

  // without says why hls.js, which was wanted, is not there.
  #byBrowser(url, name, next, without) {
    const video = this.#video;
    put(this.#engine, without && this.#low ? "no low latency: hls.js did not load" : "played by the browser");
    set(this.#engine, "title", without || null);
    if (next) video.onerror = () => { if (this.#playing === name) this.#withScript(url, name, false); };
    video.src = url;
    this.#begin();
  }

  #begin() { this.#video.play().then(() => this.#refused(false), (e) => this.#refused(e.name === "NotAllowedError")); }

  #refused(yes) { if (this.#start) this.#start.hidden = !yes; }

  // stop stops what is played, if anything is.
  stop() {
    if (!this.#playing) return;
    this.#hls?.destroy();
    this.#hls = null;
    this.#playing = "";
    this.#video.onerror = null;
    this.#video.removeAttribute("src");
    this.#video.load();
    this.#refused(false);
    this.#say("");
  }

  // figures are seconds behind live and in the buffer, and pictures that were dropped; NaN where it is not known.
  figures() {
    const v = this.#video;
    const end = v.buffered.length ? v.buffered.end(v.buffered.length - 1) : v.currentTime;
    const start = v.getStartDate?.();
    const behind = this.#hls?.playingDate ? (Date.now() - this.#hls.playingDate) / 1000
      : start && !isNaN(start) ? (Date.now() - start) / 1000 - v.currentTime : NaN;
    return { behind, buffered: end - v.currentTime, dropped: v.getVideoPlaybackQuality?.().droppedVideoFrames ?? NaN };
  }

  #say(text) {
    this.#notice.hidden = !text;
    put(this.#notice, text);
  }

  // next says that the browser's own HLS is left to be tried.
  async #withScript(url, name, next) {
    this.#video.onerror = null;
    let Hls, why = "This browser can play HLS in no way known to this page.";
    try {
      Hls = await load(this.#settings);
    } catch (e) {
      why = e.message;
    }
    if (this.#playing !== name) return;
    if (!Hls?.isSupported()) {
      if (next) this.#byBrowser(url, name, false, Hls ? "" : why);
      else this.#say(why);
      return;
    }
    put(this.#engine, "played by hls.js " + Hls.version);
    set(this.#engine, "title", null);
    const hls = this.#hls = new Hls(this.#low ? nearLive : {});
    if (this.#low) hls.config.liveMaxLatencyDurationCount = farBehind;
    hls.on(Hls.Events.MANIFEST_PARSED, () => this.#begin());
    hls.on(Hls.Events.FRAG_BUFFERED, () => this.#say(""));
    hls.on(Hls.Events.ERROR, (_, e) => {
      if (!e.fatal) return;
      this.#say(e.details + (e.response?.code ? " (" + e.response.code + ")" : "") + ": trying again");
      if (e.type === Hls.ErrorTypes.MEDIA_ERROR) {
        hls.recoverMediaError();
        return;
      }
      setTimeout(() => {
        if (this.#playing !== name) return;
        this.stop();
        this.play(url, name);
      }, 2000);
    });
    hls.loadSource(url);
    hls.attachMedia(this.#video);
  }
}
