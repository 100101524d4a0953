// The demo's picture has a clock, and at its lower edge a bar that is full when the clock has gone round: what it shows is read
// from the picture itself, as an eye would, and believes no time stamp.

const pictures = 25; // in a second of the demo

export class Clock {
  #round;
  #canvas = document.createElement("canvas");
  #pen = this.#canvas.getContext("2d", { willReadFrequently: true });

  // round is the seconds after which the clock begins again.
  constructor(round) { this.#round = round; }

  // now is what the clock shows in the picture that is filmed at this moment, in seconds. It began with the recording.
  now(started) { return ((Date.now() - new Date(started)) / 1000) % this.#round; }

  // face is a time as the clock shows it: second . picture.
  face(s) { return String(Math.floor(s)).padStart(2, "0") + "." + String(Math.floor(s % 1 * pictures)).padStart(2, "0"); }

  // behind is how old the picture is that a video shows, in seconds; NaN where it cannot be read.
  behind(video, started) {
    const width = this.#canvas.width = video.videoWidth;
    if (!width) return NaN;
    this.#canvas.height = 1;
    this.#pen.drawImage(video, 0, Math.floor(video.videoHeight * 354.5 / 360), width, 1, 0, 0, width, 1);
    let row;
    try {
      row = this.#pen.getImageData(0, 0, width, 1).data;
    } catch {
      return NaN; // what the browser plays itself came from another origin, and is not shown to scripts
    }
    let full = 0;
    for (let i = 0; i < width; i++) if (row[4 * i + 1] > 110) full++;
    const lag = this.now(started) - full / width * this.#round;
    return lag < -1 ? lag + this.#round : lag;
  }
}
