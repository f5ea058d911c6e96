// The page of `zoo serve`: sends images to /predict and shows the answers.

import { Drawing } from "./drawing.js";

const SMALL = 64; // pixels of a side up to which people can draw what a model knows
const KEY = "zoo-serve-key";
const at = id => document.getElementById(id);
const percent = new Intl.NumberFormat("en", { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 });

let model = null;
let drawing = null;
let stream = null; // of the camera
let latest = 0; // number of the latest request; answers to earlier ones are dropped
let last = null; // files of the latest request, to send again when an option changes

function say(text, isError = false) {
  at("status").textContent = text;
  at("status").classList.toggle("error", isError);
}

function element(name, text = "", className = "") {
  const made = document.createElement(name);
  made.textContent = text;
  made.className = className;
  return made;
}

// Return the answer of the service, or throw an error with words for people and the status.
async function ask(path, options = {}) {
  const key = sessionStorage.getItem(KEY);
  const headers = key ? { Authorization: `Bearer ${key}` } : {};
  let answer;
  try {
    answer = await fetch(path, { ...options, headers });
  } catch {
    throw new Error("The service cannot be reached. Check that it is running, and try again.");
  }
  const content = await answer.json().catch(() => ({}));
  if (answer.ok || content.predictions) return content;
  const words = {
    401: "This API key is not valid.",
    413: "This is too large for the service. Send fewer or smaller images.",
    503: "The service is busy. Try again in a moment.",
    504: "The service took too long. Try again in a moment.",
  };
  const fault = new Error(words[answer.status] ?? content.error ?? `The service answered with status ${answer.status}.`);
  fault.status = answer.status;
  throw fault;
}

async function start() {
  try {
    model = await ask("model");
  } catch (fault) {
    at("main").hidden = true;
    const isKey = fault.status === 401;
    at("key-form").hidden = !isKey;
    at("about").textContent = "";
    say(isKey && !sessionStorage.getItem(KEY) ? "" : fault.message, true);
    if (!at("status").textContent) at("status").classList.remove("error");
    if (isKey) at("key").focus();
    return;
  }
  at("key-form").hidden = true;
  at("main").hidden = false;
  say("");
  describe();
}

function describe() {
  const colors = { 1: "grayscale", 3: "color" }[model.channels] ?? `${model.channels} channels`;
  document.title = `${model.name} - keras-zoo`;
  at("name").textContent = model.name;
  at("about").textContent =
    `${model.classes.length} classes, images of ${model.width} × ${model.height} pixels in ${colors}, ${model.runtime}`;
  at("classes-title").textContent = `All ${model.classes.length} classes`;
  at("classes").replaceChildren(...model.classes.map(name => element("li", name)));
  const isSmall = model.channels === 1 && Math.max(model.width, model.height) <= SMALL;
  if (isSmall && !drawing) {
    at("drawing").hidden = false;
    // Where the training images are unknown, light on dark: most small grayscale datasets are
    at("dark-ink").checked = model.inverted === false;
    drawing = new Drawing(at("canvas"), at("cursor"), Math.max(model.width, model.height), predictDrawing);
    drawing.clear(at("dark-ink").checked);
  }
  if (model.channels !== 1 && model.channels !== 3) say("This model takes no image files. Send arrays to /v2.", true);
}

async function predictDrawing() {
  if (!drawing.isEmpty) await predict([await drawing.file()]);
}

async function predict(files) {
  const size = files.reduce((sum, file) => sum + file.size, 0);
  if (!files.length) return;
  if (size > model.max_bytes || files.length > model.max_images) {
    const most = Math.floor(model.max_bytes / 2 ** 20);
    say(`Too much at once. Send at most ${model.max_images} images with ${most} MiB together.`, true);
    return;
  }
  last = files;
  const number = ++latest;
  const form = new FormData();
  for (const file of files) form.append("image", file, file.name || "pasted.png");
  const top = at("top").value === "all" ? model.classes.length : at("top").value;
  say(files.length > 1 ? `Predicting ${files.length} images.` : "Predicting.");
  try {
    const answer = await ask(`predict?top=${top}&invert=${at("invert").value}`, { method: "POST", body: form });
    if (number === latest) show(files, answer.predictions);
  } catch (fault) {
    if (number !== latest) return;
    if (fault.status === 401) {
      sessionStorage.removeItem(KEY);
      start();
    }
    say(fault.message, true);
  }
}

function show(files, predictions) {
  for (const image of at("results").querySelectorAll("img")) URL.revokeObjectURL(image.src);
  at("hint").hidden = true;
  at("results").replaceChildren(...predictions.map((each, i) => card(files[i], each)));
  const bad = predictions.filter(each => each.error).length;
  const [first] = predictions;
  if (predictions.length > 1)
    say(`${predictions.length - bad} of ${predictions.length} images predicted.`, bad > 0);
  else if (first.error) say(first.error, true);
  else say(`${first.classes[0].class}, ${percent.format(first.classes[0].probability)}.`);
}

function card(file, prediction) {
  const made = element("article");
  const image = element("img");
  image.alt = `Sent: ${prediction.file}`;
  image.src = URL.createObjectURL(file);
  image.addEventListener("error", () => (image.alt = "")); // the browser cannot show it
  made.append(image, element("h3", prediction.file));
  if (prediction.error) {
    made.append(element("p", prediction.error, "error"));
    return made;
  }
  const rows = element("div");
  const list = element("ol");
  for (const { class: name, probability } of prediction.classes) {
    const row = element("li");
    const bar = element("div", "", "bar");
    const part = element("div");
    part.style.width = `${100 * probability}%`;
    bar.append(part);
    bar.setAttribute("aria-hidden", "true");
    row.append(element("span", name), element("span", percent.format(probability)), bar);
    list.append(row);
  }
  rows.append(list);
  if (prediction.inverted) rows.append(element("p", "Brightness was inverted, as in the training images.", "help"));
  made.append(rows);
  return made;
}

async function openCamera() {
  if (!navigator.mediaDevices?.getUserMedia) {
    say("This browser gives the camera only to pages over HTTPS or on this machine. Choose a file instead.", true);
    return;
  }
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
  } catch (fault) {
    const words = {
      NotAllowedError: "The camera is not allowed for this page. Allow it in the browser's settings, or choose a file.",
      NotFoundError: "There is no camera. Choose a file instead.",
      NotReadableError: "The camera is in use by another program. Close that program, or choose a file.",
    };
    say(words[fault.name] ?? "The camera cannot be used. Choose a file instead.", true);
    return;
  }
  say("");
  at("video").srcObject = stream;
  at("camera").hidden = false;
  at("open-camera").setAttribute("aria-expanded", "true");
  at("take").focus();
}

function closeCamera() {
  for (const track of stream?.getTracks() ?? []) track.stop();
  stream = null;
  at("video").srcObject = null;
  at("camera").hidden = true;
  at("open-camera").setAttribute("aria-expanded", "false");
  at("open-camera").focus();
}

async function takePicture() {
  const video = at("video");
  if (!video.videoWidth) return;
  const picture = element("canvas");
  picture.width = video.videoWidth;
  picture.height = video.videoHeight;
  picture.getContext("2d").drawImage(video, 0, 0);
  const blob = await new Promise(done => picture.toBlob(done, "image/png"));
  await predict([new File([blob], "camera.png", { type: "image/png" })]);
}

const again = () => last && predict(last);

at("key-form").addEventListener("submit", event => {
  event.preventDefault();
  sessionStorage.setItem(KEY, at("key").value.trim());
  at("key").value = "";
  start();
});
at("choose").addEventListener("click", () => at("files").click());
at("files").addEventListener("change", () => {
  predict([...at("files").files]);
  at("files").value = ""; // so that the same file can be chosen again
});
at("open-camera").addEventListener("click", () => (stream ? closeCamera() : openCamera()));
at("close-camera").addEventListener("click", closeCamera);
at("take").addEventListener("click", takePicture);
at("clear").addEventListener("click", () => drawing.clear());
at("dark-ink").addEventListener("change", () => drawing.clear(at("dark-ink").checked));
at("invert").addEventListener("change", again);
at("top").addEventListener("change", again);
document.addEventListener("paste", event => {
  const files = [...(event.clipboardData?.files ?? [])];
  if (model && files.length) predict(files);
});
document.addEventListener("dragover", event => {
  event.preventDefault();
  at("drop").classList.add("over");
});
document.addEventListener("dragleave", event => {
  if (!event.relatedTarget) at("drop").classList.remove("over");
});
document.addEventListener("drop", event => {
  event.preventDefault();
  at("drop").classList.remove("over");
  const files = [...event.dataTransfer.files];
  if (!model) return;
  if (files.length) predict(files);
  else say("That is not a file. Save the image first, and drop its file.", true);
});

start();
