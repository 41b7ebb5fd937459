"use strict";
// One clip: CLIP is its track, PAGES (data.js) what the run says of all clips. One axis of time, one playhead.
const get = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";
const draw = (parent, kind, attributes) => {
  const made = document.createElementNS(SVG, kind);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  parent.append(made);
  return made;
};
const across = (seconds) => (1000 * seconds) / CLIP.seconds;

// The row of this clip: see `write_index` for its columns. A page without data.js still shows its clip.
const known = typeof PAGES === "undefined" ? { clips: [], models: [] } : PAGES;
const position = known.clips.findIndex((row) => row[0] === CLIP.number);
const row = known.clips[position];
const curve = openCurve();

// The prediction over time: see `_pack_curve` for how it is written. Undefined where there is none.
function openCurve() {
  if (!known.curves || !known.curves[CLIP.number]) return undefined;
  const [first, step, ...columns] = known.curves[CLIP.number];
  const [arousal, valence] = columns.map((column) => column.map((value) => (value === null ? null : value / 1000)));
  return { seconds: arousal.map((_, k) => first + k * step), arousal, valence };
}

function showNeighbours() {
  for (const [id, neighbour] of [["previous", known.clips[position - 1]], ["next", known.clips[position + 1]]]) {
    if (position < 0 || !neighbour) continue;
    get(id).href = `${neighbour[0]}.html`;
    get(id).title = neighbour[1];
    get(id).hidden = false;
  }
}

function showValues() {
  if (row[2]) get("split").textContent = `${row[2]} · `;
  const lines = [["label", [row[12], row[13]]], ...known.models.map((model, k) => [model, row[15][k]])];
  const given = lines.filter(([, pair]) => pair && pair[0] !== null);
  if (!given.length) return;
  const table = document.createElement("table");
  const head = table.createTHead().insertRow();
  for (const title of ["", "arousal", "valence", "distance to the label"]) {
    const cell = document.createElement("th");
    cell.textContent = title;
    head.append(cell);
  }
  for (const [title, pair] of given) {
    const line = table.insertRow();
    line.insertCell().textContent = title;
    for (const value of pair) line.insertCell().textContent = value.toFixed(3);
    const distance = title === "label" || row[12] === null ? null : Math.hypot(pair[0] - row[12], pair[1] - row[13]);
    line.insertCell().textContent = distance === null ? "" : distance.toFixed(3);
  }
  get("values").append(table);
}

function drawCurve() {
  if (!curve) return tellWhyNoCurve();
  const strip = document.createElement("div");
  strip.className = "strip tall";
  const picture = draw(strip, "svg", { class: "all", viewBox: "0 -1.05 1000 2.1", preserveAspectRatio: "none", role: "img", "aria-label": "prediction over time" });
  draw(picture, "line", { x1: 0, x2: 1000, y1: 0, y2: 0 });
  for (const [name, column] of [["arousal", 12], ["valence", 13]]) {
    if (row && row[column] !== null) draw(picture, "line", { class: `label-line ${name}`, x1: 0, x2: 1000, y1: -row[column], y2: -row[column] });
    // A gap, where nothing could be seen or heard, parts the line. One window is a line over its own length.
    let part = [];
    const end = () => { if (part.length) draw(picture, "polyline", { class: name, points: part.join(" ") }); part = []; };
    curve.seconds.forEach((seconds, k) => {
      if (curve[name][k] === null) return end();
      if (curve.seconds.length === 1) part.push(`0,${-curve[name][k]}`, `1000,${-curve[name][k]}`);
      else part.push(`${across(seconds).toFixed(1)},${-curve[name][k]}`);
    });
    end();
  }
  get("curve").append(strip);
  get("curve").hidden = false;
}

// A byte each: the lowest and the highest of each stretch, from 0 at the top to 100.
function drawWaveform() {
  if (!get("waveform")) return;
  const heights = Array.from(atob(CLIP.waveform), (letter) => letter.charCodeAt(0));
  const stretches = heights.length / 2;
  get("waveform").setAttribute("viewBox", `0 0 ${stretches - 1} 100`);
  const upper = [], lower = [];
  for (let k = 0; k < stretches; k += 1) {
    lower.push(`${k} ${heights[2 * k]}`);
    upper.push(`${k} ${heights[2 * k + 1]}`);
  }
  draw(get("waveform"), "polygon", { points: [...upper, ...lower.reverse()].join(" ") });
}

// Clips that the networks were trained on have predictions, but none over time.
function tellWhyNoCurve() {
  if (!row || row[2] !== "train" || !row[15].some((pair) => pair)) return;
  const words = document.createElement("p");
  words.className = "soft";
  words.textContent = "The prediction over time is shown for clips of the other splits, not for those of the training split.";
  get("time").before(words);
}

function drawTrack() {
  if (!get("track")) return;
  get("track").setAttribute("viewBox", "0 -5 1000 110");
  let path = "";
  CLIP.times.forEach((seconds, k) => { path += `M${across(seconds).toFixed(1)} ${(100 * (1 - CLIP.scores[k])).toFixed(1)}h.01`; });
  draw(get("track"), "path", { d: path, stroke: "var(--link)", "stroke-width": 4, "stroke-linecap": "round", "vector-effect": "non-scaling-stroke" });
}

// The face nearest to a moment, where one is near enough; -1 where none is.
function findFace(seconds) {
  let low = 0, high = CLIP.times.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (CLIP.times[middle] < seconds) low = middle + 1; else high = middle;
  }
  const near = [low - 1, low].filter((k) => k >= 0 && k < CLIP.times.length);
  const best = near.sort((a, b) => Math.abs(CLIP.times[a] - seconds) - Math.abs(CLIP.times[b] - seconds))[0];
  return best !== undefined && Math.abs(CLIP.times[best] - seconds) < 0.11 ? best : -1;
}

function drawFace(seconds) {
  if (!CLIP.frame) return;
  const face = findFace(seconds);
  const picture = get("faces");
  picture.replaceChildren();
  if (face < 0) return;
  const [left, top, right, bottom] = CLIP.boxes[face];
  const unit = CLIP.frame.width / 200;
  draw(picture, "rect", { x: left, y: top, width: right - left, height: bottom - top, "stroke-width": unit });
  for (let k = 0; k < 10; k += 2) draw(picture, "circle", { cx: CLIP.landmarks[face][k], cy: CLIP.landmarks[face][k + 1], r: unit });
}

const players = [];
function showMoment(seconds) {
  get("playhead").style.left = `${Math.min(100, (100 * seconds) / CLIP.seconds)}%`;
  get("playhead").hidden = false;
  drawFace(seconds);
}
function seek(seconds) {
  for (const [player, start] of players) player.currentTime = start + seconds;
  showMoment(seconds);
}
// A player, and the second of its file at which the clip begins.
function follow(player, start) {
  players.push([player, start]);
  const step = () => {
    showMoment(player.currentTime - start);
    if (!player.paused && !player.ended) requestAnimationFrame(step);
  };
  player.addEventListener("play", () => {
    for (const [other] of players) if (other !== player) other.pause();
    step();
  });
  player.addEventListener("seeked", () => showMoment(player.currentTime - start));
}

function openVideo() {
  if (!CLIP.frame || !row || !row[14]) return;
  const video = document.createElement("video");
  video.controls = true;
  video.preload = "metadata";
  const giveUp = () => {
    if (!video.isConnected) return;
    video.remove();
    players.splice(players.findIndex(([player]) => player === video), 1);
    get("stage").classList.remove("plays");
    get("no-video").textContent = `This browser cannot play ${row[14]}: its face is shown where it is, beside the sound.`;
    get("no-video").hidden = false;
  };
  // Of a picture that it cannot decode beside a sound that it can, a browser tells nothing, and plays the sound.
  video.addEventListener("loadeddata", () => (video.videoWidth ? get("stage").classList.add("plays") : giveUp()));
  video.addEventListener("error", giveUp);
  video.src = `../videos/${row[14].split("/").map(encodeURIComponent).join("/")}`;
  const start = row[16];
  if (start) video.src += `#t=${start},${start + CLIP.seconds}`;
  get("stage").prepend(video);
  follow(video, start);
}

function tellMoment(event) {
  const box = get("time").getBoundingClientRect();
  const seconds = ((event.clientX - box.left) / box.width) * CLIP.seconds;
  const face = findFace(seconds);
  let text = `${seconds.toFixed(2)} s`;
  if (curve) {
    const gaps = curve.seconds.map((middle) => Math.abs(middle - seconds));
    const k = gaps.indexOf(Math.min(...gaps));
    if (curve.arousal[k] !== null) text += ` · arousal ${curve.arousal[k].toFixed(2)} · valence ${curve.valence[k].toFixed(2)}`;
  }
  if (CLIP.frame) text += face < 0 ? " · no face" : ` · face ${CLIP.scores[face].toFixed(3)}`;
  get("here").textContent = text;
  return seconds;
}

if (CLIP.frame) get("faces").setAttribute("viewBox", `0 0 ${CLIP.frame.width} ${CLIP.frame.height}`);
if (row) { showNeighbours(); showValues(); }
drawCurve();
drawWaveform();
drawTrack();
if (CLIP.times.length) drawFace(CLIP.times[0]);
openVideo();
if (get("sound")) follow(get("sound"), 0);
get("time").addEventListener("pointermove", tellMoment);
get("time").addEventListener("click", (event) => seek(tellMoment(event)));
for (const face of document.querySelectorAll("[data-time]")) face.addEventListener("click", () => seek(Number(face.dataset.time)));
