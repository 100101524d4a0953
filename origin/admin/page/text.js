// Figures as people read them.

export const rate = (n) => !n ? "–" : n >= 1e6 ? (n / 1e6).toFixed(1) + " Mb/s" : Math.round(n / 1e3) + " kb/s";

export const bytes = (n) => !n ? "0" : n >= 1 << 30 ? (n / (1 << 30)).toFixed(1) + " GiB" : n >= 1 << 20 ? (n / (1 << 20)).toFixed(1) + " MiB" : Math.ceil(n / 1024) + " KiB";

export const seconds = (n) => !isFinite(n) ? "–" : n.toFixed(1) + " s";

export const millis = (n) => Math.round(n * 1000) + " ms";

const two = (n) => String(n).padStart(2, "0");

// span is a time that passed, in seconds: 1:02:03.
export function span(s) {
  s = Math.max(0, Math.floor(s));
  return Math.floor(s / 3600) + ":" + two(Math.floor(s / 60) % 60) + ":" + two(s % 60);
}

// roughly is the same where only its size matters: 42 s, 5 min, 3 h.
export function roughly(s) {
  s = Math.max(0, s);
  return s < 90 ? Math.round(s) + " s" : s < 5400 ? Math.round(s / 60) + " min" : s < 172800 ? Math.round(s / 3600) + " h" : Math.round(s / 86400) + " days";
}

export const clock = (t) => new Date(t).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });

export const date = (t) => new Date(t).toLocaleDateString([], { year: "numeric", month: "short", day: "numeric" });

export const several = (n, one, more) => n + " " + (n === 1 ? one : more ?? one + "s");

// picture is what a stream shows.
export function picture(s) {
  if (s.height) return s.width + "×" + s.height + (s.frame_rate ? " · " + +s.frame_rate.toFixed(2) + " fps" : "");
  if (s.state === "starting") return "nothing written yet";
  return s.codecs ? "audio only" : "–";
}
