// The page that lists the streams and plays one. Text from the server goes into the page as text, never as markup.
"use strict";

const $ = (id) => document.getElementById(id);
const video = $("video");
const getJSON = async (url) => (await fetch(url, { cache: "no-store" })).json();

let page = { origin: "", publish: "", hls_js: "", integrity: "" };
let all = [];        // as /api/streams has them
let chosen = "";     // "app/name" of the stream on the stage
let playing = "";    // "app/name recording" that the player was started with
let hls = null;      // the hls.js instance, where it plays

const id = (s) => s.app + "/" + s.name;
const rate = (n) => !n ? "–" : n >= 1e6 ? (n / 1e6).toFixed(1) + " Mb/s" : Math.round(n / 1e3) + " kb/s";
const bytes = (n) => n >= 1 << 30 ? (n / (1 << 30)).toFixed(1) + " GiB" : n >= 1 << 20 ? (n / (1 << 20)).toFixed(1) + " MiB" : Math.ceil(n / 1024) + " KiB";
const seconds = (n) => !isFinite(n) ? "–" : n.toFixed(1) + " s";
const span = (from) => {
  const s = Math.max(0, Math.floor((Date.now() - new Date(from)) / 1000));
  const two = (n) => String(n).padStart(2, "0");
  return Math.floor(s / 3600) + ":" + two(Math.floor(s / 60) % 60) + ":" + two(s % 60);
};
const picture = (s) => s.state === "starting" && !s.height ? "nothing written yet" : s.height ? s.width + "×" + s.height + (s.frame_rate ? " · " + +s.frame_rate.toFixed(2) + " fps" : "") : "audio only";

function element(tag, className, text) {
  const e = document.createElement(tag);
  e.className = className;
  e.textContent = text ?? "";
  return e;
}

// What became of a track's frames: "h264 1500" or "audio 0 of 300 (no_header 300)".
function track(t) {
  const lost = Object.entries(t.dropped).map(([why, n]) => why + " " + n).join(", ");
  return (t.codec || t.kind) + " " + t.written + (lost ? " of " + t.received + " (" + lost + ")" : "");
}

// The list is built anew at each poll; the focus stays where it was.
function showList() {
  const focused = document.activeElement?.dataset?.id;
  $("streams").replaceChildren(...all.map((s) => {
    const b = element("button", "");
    b.dataset.id = id(s);
    b.setAttribute("aria-current", id(s) === chosen);
    b.append(element("span", "dot " + s.state), element("span", "name", id(s)), element("span", "rate", rate(s.bitrate)),
      element("span", "what", s.state + " · " + picture(s) + (s.protocol ? " · " + s.protocol : "")));
    if (s.problem) b.append(element("span", "problem", s.problem));
    b.onclick = () => { location.hash = id(s); };
    const li = document.createElement("li");
    li.append(b);
    return li;
  }));
  if (focused) [...document.querySelectorAll("#streams button")].find((b) => b.dataset.id === focused)?.focus();
  $("empty").hidden = all.length > 0 || !page.publish;
  $("count").textContent = all.length ? all.filter((s) => s.state === "live").length + " live of " + all.length : "";
}

function showStage() {
  const s = all.find((s) => id(s) === chosen);
  $("stage").hidden = !s;
  if (!s) return stop();
  $("title").textContent = id(s);
  $("state").textContent = s.state;
  $("state").className = "state " + s.state;
  $("play").value = page.origin + "/" + s.play;
  $("lost").hidden = !s.problem;
  $("lost").textContent = s.problem;
  $("archive").value = s.archive ? page.origin + "/" + s.archive : "";
  if (s.state !== "starting" && playing !== id(s) + " " + s.recording) start(s);
  showFacts(s);
}

function showFacts(s) {
  const end = video.buffered.length ? video.buffered.end(video.buffered.length - 1) : video.currentTime;
  const behind = hls && hls.playingDate ? (Date.now() - hls.playingDate) / 1000
    : video.getStartDate && !isNaN(video.getStartDate()) ? (Date.now() - video.getStartDate()) / 1000 - video.currentTime : NaN;
  const dropped = video.getVideoPlaybackQuality?.().droppedVideoFrames;
  const facts = [
    ["on the air", span(s.started)], ["measured", rate(s.bitrate)], ["picture", picture(s)], ["codecs", s.codecs.replaceAll(",", ", ") || "–"],
    ["segments", s.segments + (s.gaps ? " (" + s.gaps + " lost)" : "")], ["target", s.target_duration + " s"],
    ["not in the bucket yet", bytes(s.unsent)], ["publisher", s.remote || "away"], ["since the newest frame", seconds((Date.now() - new Date(s.last_frame)) / 1000)],
    ["frames written", s.tracks.map(track).join(" · ") || "–"],
    ["behind live", s.state === "live" ? seconds(behind) : "–"], ["buffered", seconds(end - video.currentTime)], ["frames dropped", dropped ?? "–"],
  ];
  $("facts").replaceChildren(...facts.map(([what, value]) => {
    const d = document.createElement("div");
    d.append(element("b", "", value), element("span", "", what));
    return d;
  }));
}

function notice(text) {
  $("notice").hidden = !text;
  $("notice").textContent = text;
}

function stop() {
  hls?.destroy();
  hls = null;
  playing = "";
  video.removeAttribute("src");
  video.load();
  notice("");
}

let script = null; // the promise of hls.js, once asked for
const loadScript = () => script ??= new Promise((resolve, reject) => {
  const e = document.createElement("script");
  e.src = page.hls_js;
  if (page.integrity) e.integrity = page.integrity;
  e.crossOrigin = "anonymous";
  e.onload = () => resolve(window.Hls);
  e.onerror = () => { script = null; reject(new Error("hls.js did not come from " + page.hls_js + ". For a copy of your own: make web")); };
  document.head.append(e);
});

// The browser's own HLS first, hls.js where there is none or where it gives up; "?player=hls.js" takes the latter at once.
async function start(s) {
  stop();
  const mine = playing = id(s) + " " + s.recording;
  const url = page.origin + "/" + s.play;
  const own = video.canPlayType("application/vnd.apple.mpegurl") && new URLSearchParams(location.search).get("player") !== "hls.js";
  if (own) {
    $("engine").textContent = "played by the browser";
    video.onerror = () => { if (playing === mine) withScript(url, mine); };
    video.src = url;
    video.play().catch(() => {});
    return;
  }
  withScript(url, mine);
}

async function withScript(url, mine) {
  video.onerror = null;
  let Hls;
  try {
    Hls = await loadScript();
  } catch (e) {
    if (playing === mine) notice(e.message);
    return;
  }
  if (playing !== mine) return;
  if (!Hls.isSupported()) return notice("This browser can play HLS in no way known to this page.");
  $("engine").textContent = "played by hls.js " + Hls.version;
  hls = new Hls();
  hls.on(Hls.Events.MANIFEST_PARSED, () => video.play().catch(() => {}));
  hls.on(Hls.Events.FRAG_BUFFERED, () => notice(""));
  hls.on(Hls.Events.ERROR, (_, e) => {
    if (!e.fatal) return;
    notice(e.details + (e.response?.code ? " (" + e.response.code + ")" : "") + ": trying again");
    if (e.type === Hls.ErrorTypes.MEDIA_ERROR) return hls.recoverMediaError();
    setTimeout(() => { if (playing === mine) playing = ""; }, 2000); // the next poll starts it anew
  });
  hls.loadSource(url);
  hls.attachMedia(video);
}

async function pollStreams() {
  try {
    all = (await getJSON("/api/streams")).streams;
    const wanted = decodeURIComponent(location.hash.slice(1));
    chosen = all.some((s) => id(s) === wanted) ? wanted : all.some((s) => id(s) === chosen) ? chosen
      : id(all.find((s) => s.state === "live") ?? all[0] ?? { app: "", name: "" });
    showList();
    showStage();
  } catch {
    health("unreachable", false);
  }
}

function health(text, good) {
  $("health").textContent = text;
  $("health").className = "pill " + (good ? "good" : "bad");
}

async function pollHealth() {
  try {
    const r = await getJSON("/readyz");
    const wrong = r.checks.filter((c) => c.reason);
    health(!r.ready ? "not ready" : wrong.length ? "degraded" : "ready", r.ready && !wrong.length);
    $("problems").hidden = !wrong.length;
    $("problems").replaceChildren(...wrong.map((c) => element("li", "", c.name + ": " + c.reason)));
  } catch {
    health("unreachable", false);
  }
}

// every runs fn now and again, the next time only when the last is over.
async function every(ms, fn) {
  for (;;) {
    await fn();
    await new Promise((r) => setTimeout(r, ms));
  }
}

document.addEventListener("click", (e) => {
  const from = e.target.dataset?.copy;
  if (!from) return;
  $(from).select();
  navigator.clipboard?.writeText($(from).value).then(() => {
    e.target.textContent = "Copied";
    setTimeout(() => { e.target.textContent = "Copy"; }, 1200);
  });
});
window.addEventListener("hashchange", pollStreams);

(async () => {
  try {
    page = await getJSON("/api/page");
  } catch {
    return health("unreachable", false);
  }
  $("version").textContent = page.version;
  $("server").textContent = page.publish;
  every(2000, pollStreams);
  every(5000, pollHealth);
  setInterval(() => { const s = all.find((s) => id(s) === chosen); if (s) showFacts(s); }, 500);
})();
