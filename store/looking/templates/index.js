"use strict";
// All clips: PAGES (data.js) has a row for each, see `write_index` for its columns.
const get = (id) => document.getElementById(id);
const percent = (value) => (100 * value).toFixed(0) + " %";
const pair = (value) => (value ? value.map((number) => number.toFixed(2)).join(" / ") : "");
const CLIPS = PAGES.clips.map((row) => {
  const label = row[12] === null ? null : [row[12], row[13]];
  const predicted = PAGES.best < 0 ? null : row[15][PAGES.best];
  const error = label && predicted ? Math.hypot(predicted[0] - label[0], predicted[1] - label[1]) : null;
  return {
    number: row[0], clip: row[1], split: row[2], sound: row[3], picture: row[4], seconds: row[5], coverage: row[6], score: row[7],
    level: row[8], badness: row[9], notes: row[10], face: row[11] || null, label, predicted, error,
  };
});
const has = (key) => CLIPS.some((clip) => clip[key] !== null && clip[key] !== false && clip[key] !== "");
const MEANINGS = {
  label: "arousal and valence", predicted: "arousal and valence", error: "distance between label and prediction",
  coverage: "share of the frames in which the speaker's face was found", score: "how sure the detector is of a face, on average",
  level: "of the sound; 0 is the loudest there can be", badness: "0 where no fault was found; 2 more without sound or without a face, up to 1 more for gaps, doubtful faces, clipping and silence",
};
// Title, key, class, how a number is shown. Columns of the second and third class leave when a screen is narrow.
const COLUMNS = [
  ["", "face", ""], ["clip", "clip", "name"], ["split", "split", "second"], ["label a / v", "label", "number second", pair],
  ["predicted a / v", "predicted", "number second", pair], ["error", "error", "number", (v) => v.toFixed(2)],
  ["sound", "sound", "second"], ["picture", "picture", "second"], ["seconds", "seconds", "number third", (v) => v.toFixed(1)],
  ["with face", "coverage", "number third", percent], ["score", "score", "number third", (v) => v.toFixed(3)],
  ["level (dB)", "level", "number third", (v) => v.toFixed(0)], ["badness", "badness", "number", (v) => v.toFixed(2)],
  ["notes", "notes", "note"],
].filter(([, key]) => !["face", "split", "label", "predicted", "error"].includes(key) || has(key));
const PAGE = 100;
const state = { sort: "badness", down: true, page: 0, found: CLIPS };

function fillChoices(id) {
  const values = [...new Set(CLIPS.map((clip) => clip[id]))].sort();
  get(id).append(new Option("all", "*"), ...values.map((value) => new Option(value || "none", value)));
  get(id).addEventListener("change", filter);
}

function filter() {
  const needle = get("search").value.toLowerCase();
  const wanted = ["split", "sound", "picture"].map((id) => [get(id).value, id]);
  state.found = CLIPS.filter((clip) =>
    wanted.every(([value, id]) => value === "*" || clip[id] === value) &&
    (clip.clip.toLowerCase().includes(needle) || clip.notes.toLowerCase().includes(needle)));
  state.page = 0;
  sort();
}

function sort() {
  const { sort: key, down } = state;
  const sign = down ? -1 : 1;
  const by = (clip) => (Array.isArray(clip[key]) ? clip[key][0] : clip[key]);
  const places = new Map(CLIPS.map((clip, k) => [clip, k]));
  state.found.sort((one, other) => {
    const [a, b] = [by(one), by(other)];
    if (a === b) return places.get(one) - places.get(other);
    if (a === null) return 1;
    if (b === null) return -1;
    return (a < b ? -1 : 1) * sign;
  });
  show();
}

function fillCell(cell, clip, key, format) {
  const value = clip[key];
  if (key === "clip") {
    const link = document.createElement("a");
    link.href = `clips/${clip.number}.html`;
    link.textContent = cell.title = value;
    cell.append(link);
  } else if (key === "face") {
    if (!value) return;
    const image = document.createElement("img");
    image.loading = "lazy";
    image.alt = "";
    image.src = `clips/${clip.number}.jpg`;
    // The picture has several faces side by side: show the one in the middle.
    if (value > 1) image.style.objectPosition = `${(100 * Math.floor(value / 2)) / (value - 1)}% 0`;
    cell.append(image);
  } else {
    cell.textContent = value === null ? "" : format ? format(value) : value;
    if (key === "notes") cell.title = value;
    if ((key === "sound" || key === "picture") && value !== "ok") cell.classList.add("bad");
  }
}

function show() {
  const last = Math.max(0, Math.ceil(state.found.length / PAGE) - 1);
  state.page = Math.min(Math.max(state.page, 0), last);
  const rows = state.found.slice(state.page * PAGE, (state.page + 1) * PAGE).map((clip) => {
    const line = document.createElement("tr");
    for (const [, key, kind, format] of COLUMNS) {
      const cell = line.insertCell();
      cell.className = kind;
      fillCell(cell, clip, key, format);
    }
    return line;
  });
  get("rows").replaceChildren(...rows);
  get("count").textContent = `${state.found.length} of ${CLIPS.length} clips`;
  get("page").textContent = `page ${state.page + 1} of ${last + 1}`;
  get("back").disabled = state.page === 0;
  get("next").disabled = state.page === last;
  [...get("head").children].forEach((cell, k) => {
    const [title, key] = COLUMNS[k];
    cell.ariaSort = key === state.sort ? (state.down ? "descending" : "ascending") : "none";
    cell.firstChild.textContent = title + (key === state.sort ? (state.down ? " ▾" : " ▴") : "");
  });
}

function makeHead() {
  for (const [, key, kind, format] of COLUMNS) {
    const cell = document.createElement("th");
    cell.className = kind;
    cell.title = MEANINGS[key] || "";
    const button = document.createElement(key === "face" ? "span" : "button");
    if (key !== "face") {
      button.addEventListener("click", () => {
        state.down = state.sort === key ? !state.down : Boolean(format);
        state.sort = key;
        sort();
      });
    }
    cell.append(button);
    get("head").append(cell);
  }
}

// Blue, grey and orange for the lowest, middle and highest value; the same in light and dark.
function colourOf(value, low, high) {
  if (value === null || value === undefined) return "#888";
  const place = Math.min(1, Math.max(0, (value - low) / (high - low)));
  const [from, to, share] = place < 0.5 ? [[37, 99, 235], [150, 150, 150], place * 2] : [[150, 150, 150], [234, 108, 20], place * 2 - 1];
  return `rgb(${from.map((channel, k) => Math.round(channel + (to[k] - channel) * share)).join()})`;
}

function drawMap() {
  const points = Object.entries(PAGES.map.points);
  if (!points.length) return;
  const clips = new Map(CLIPS.map((clip) => [clip.number, clip]));
  const SVG = "http://www.w3.org/2000/svg";
  const picture = document.createElementNS(SVG, "svg");
  picture.setAttribute("viewBox", "-1.06 -1.06 2.12 2.12");
  picture.setAttribute("role", "group");
  picture.setAttribute("aria-label", "a point for each clip; clips with similar faces are near each other");
  const circles = points.map(([number, [x, y]]) => {
    const clip = clips.get(number);
    const link = document.createElementNS(SVG, "a");
    link.setAttribute("href", `clips/${number}.html`);
    const circle = document.createElementNS(SVG, "circle");
    circle.setAttribute("cx", x);
    circle.setAttribute("cy", -y);
    circle.setAttribute("r", 0.016);
    const title = document.createElementNS(SVG, "title");
    title.textContent = clip.clip;
    circle.append(title);
    link.append(circle);
    picture.append(link);
    const tell = () => { get("point").textContent = `${clip.clip}${clip.label ? `: ${pair(clip.label)}` : ""}`; };
    link.addEventListener("pointerenter", tell);
    link.addEventListener("focus", tell);
    return [circle, clip];
  });
  // OMG-Emotion's arousal goes from 0 to 1, that of others from -1 to 1.
  const least = CLIPS.some((clip) => clip.label && clip.label[0] < 0) ? -1 : 0;
  const choices = { valence: [(clip) => clip.label && clip.label[1], -1, 1], arousal: [(clip) => clip.label && clip.label[0], least, 1],
    error: [(clip) => clip.error, 0, 1], badness: [(clip) => clip.badness, 0, 2] };
  get("colour").append(...Object.keys(choices).map((name) => new Option(name, name)));
  const paint = () => {
    const [take, low, high] = choices[get("colour").value];
    for (const [circle, clip] of circles) circle.setAttribute("fill", colourOf(take(clip), low, high));
    get("low").textContent = low;
    get("high").textContent = get("colour").value === "error" || get("colour").value === "badness" ? `${high} and more` : high;
  };
  get("colour").addEventListener("change", paint);
  if (!has("label")) get("colour").value = "badness";
  paint();
  get("axes").textContent = `mean embeddings in their first two principal components (${PAGES.map.shares.map(percent).join(" and ")} of the variance)`
    + (points.length < CLIPS.length ? `; ${points.length} of ${CLIPS.length} clips` : "");
  get("map").append(picture);
  get("map").hidden = false;
}

makeHead();
for (const id of ["split", "sound", "picture"]) fillChoices(id);
get("search").addEventListener("input", filter);
get("back").addEventListener("click", () => { state.page -= 1; show(); });
get("next").addEventListener("click", () => { state.page += 1; show(); });
// index.html#NAME shows the clips of that name: reports link here.
get("search").value = decodeURIComponent(location.hash.slice(1));
filter();
drawMap();
