// The page for people: choose an image, see its probabilities and maps. All text is set as text, never as markup.

import { ask, ServiceError, setToken, upload } from "/page/service.js";
import { decode, drawScale, Viewer } from "/page/viewer.js";

const at = (id) => document.getElementById(id);
const percent = (share) => `${(100 * share).toFixed(1)} %`;

let model, viewer, file, image, maps, shownClass, firstWindow, pending;

function element(tag, className, text) {
  const made = document.createElement(tag);
  made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

// The model

async function start() {
  try {
    model = await (await ask("/model")).json();
  } catch (error) {
    if (error.status === 401) return askForToken();
    return showProblem(error);
  }
  const colours = Uint8Array.from(atob(model.colours), (letter) => letter.charCodeAt(0));
  viewer = new Viewer(at("view"), colours);
  drawScale(at("scale"), colours);
  at("model").textContent = `${model.name}: ${model.class_names.join(", ")}`;
  at("limit").textContent = `Up to ${Math.floor(model.limits.max_bytes / 2 ** 20)} MB.`;
  showFacts();
  at("file").disabled = false;
}

function showFacts() {
  const calibration = { null: "yes", 0: "none" }[model.calibrated_on] ?? `on ${model.calibrated_on} validation images`;
  const marked = model.validation_marked;
  const facts = {
    Network: model.name,
    "Image size": `${model.frame[0]} x ${model.frame[1]} pixels (height x width)`,
    Calibration: calibration,
    Thresholds: Object.keys(model.thresholds).length
      ? "largest sensitivity + specificity on the validation images"
      : "none",
    "Unusual images": marked ? `${marked[0]} of ${marked[1]} validation images are marked` : "not marked by this model",
    Engine: model.engine,
    "Weights (SHA-256)": model.weights_sha256,
    ggcam: model.version,
  };
  at("facts").replaceChildren(
    ...Object.entries(facts).flatMap(([name, text]) => [element("dt", "", name), element("dd", "", text)])
  );
}

function askForToken(problem = "") {
  at("sign-in-problem").textContent = problem;
  if (!at("sign-in").open) at("sign-in").showModal();
}

at("sign-in-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  setToken(at("token").value.trim());
  try {
    await ask("/model");
  } catch (error) {
    setToken(null);
    return askForToken(error.details.what);
  }
  at("sign-in").close();
  start();
});

// An image

async function predict(chosen) {
  pending?.abort();
  pending = new AbortController();
  const { signal } = pending;
  at("problem").hidden = true;
  at("results").hidden = true;
  at("status").textContent = `Predicting ${chosen.name}…`;
  try {
    if (chosen.size > model.limits.max_bytes) {
      throw new ServiceError(413, { what: "The file is too large.", expected: `at most ${model.limits.max_bytes} bytes` });
    }
    const body = await (await upload(chosen, { picture: "true" }, signal)).json();
    file = chosen;
    showPrediction(body.images[0]);
  } catch (error) {
    if (error.name === "AbortError") return;
    at("status").textContent = "";
    if (error.status === 401) return askForToken();
    showProblem(error, chosen.name);
  }
}

function showPrediction(prediction) {
  image = decode(prediction.picture.image);
  maps = Object.fromEntries(Object.entries(prediction.picture.cams).map(([name, cam]) => [name, decode(cam)]));
  viewer.setImage(image);
  firstWindow = prediction.picture.window;
  at("results").hidden = false;
  at("unusual").hidden = !prediction.unusual || !Object.keys(prediction.unusual).length;
  at("reasons").replaceChildren(...Object.values(prediction.unusual ?? {}).map((text) => element("li", "", text)));
  showClasses(prediction);
  showDownloads(prediction.is_dicom);
  shownClass = prediction.predicted;
  const [height, width] = prediction.image_size;
  at("caption").dataset.size = `${height} x ${width} pixels`;
  resetWindow();
  showMap();
  const probability = percent(prediction.probabilities[prediction.predicted]);
  at("status").textContent = `${file.name}: ${prediction.predicted} ${probability}`;
}

function showClasses({ probabilities, positive, predicted }) {
  const hasThresholds = Object.keys(positive).length > 0;
  at("explanation").textContent =
    (hasThresholds ? "The mark on a bar is the threshold. " : "") + "Choose a class to see its map.";
  const sorted = Object.entries(probabilities).sort(([, one], [, other]) => other - one);
  at("rows").replaceChildren(...sorted.map(([name, value]) => classRow(name, value, positive[name], name === predicted)));
}

function classRow(name, value, isPositive, checked) {
  const row = element("label", "row");
  const radio = element("input", "");
  Object.assign(radio, { type: "radio", name: "class", value: name, checked });
  radio.addEventListener("change", () => {
    shownClass = name;
    showMap();
  });
  const head = element("span", "head");
  head.append(radio, element("span", "name", name), element("span", "value", percent(value)));
  const bar = element("span", "bar");
  bar.setAttribute("aria-hidden", "true");
  bar.style.display = "block";
  const filled = element("i", "");
  filled.style.width = `${100 * value}%`;
  bar.append(filled);
  row.append(head, bar);
  if (isPositive !== undefined) {
    const threshold = model.thresholds[name];
    const tick = element("b", "");
    tick.style.left = `${100 * threshold}%`;
    bar.append(tick);
    const below = element("span", "below");
    below.append(
      element("span", isPositive ? "positive" : "soft", isPositive ? "at or above threshold" : "below threshold"),
      element("span", "soft", `threshold ${percent(threshold)}`)
    );
    row.append(below);
  }
  return row;
}

function showMap() {
  for (const row of at("rows").children) row.classList.toggle("shown", row.querySelector("input").value === shownClass);
  const opacity = Number(at("opacity").value);
  at("opacity-value").textContent = `${opacity} %`;
  const shows = at("show-map").checked;
  viewer.setMap(maps[shownClass], shows ? opacity / 100 : 0);
  viewer.draw();
  at("view").setAttribute("aria-label", shows ? `The image with the activation map of ${shownClass}` : "The image");
  at("caption").textContent = (shows ? `Map of ${shownClass} over the image, ` : "Image, ") + at("caption").dataset.size;
}

function showProblem(error, name) {
  if (!(error instanceof ServiceError)) console.error(error);
  const details = error.details ?? { what: "The page has a fault." };
  const lines = [name ? `${name}: ${details.what}` : details.what];
  for (const key of ["expected", "got", "hint"]) if (details[key]) lines.push(`${key}: ${details[key]}`);
  at("problem").replaceChildren(...lines.map((line) => element("p", "", line)));
  at("problem").hidden = false;
}

// Window and level, in percent of the range of grey values

function resetWindow() {
  const [low, high] = firstWindow.map((value) => (100 * value) / image.max);
  at("width").value = high - low;
  at("level").value = (low + high) / 2;
  at("invert").checked = false;
  applyWindow();
}

function applyWindow() {
  const width = Number(at("width").value);
  const level = Number(at("level").value);
  at("width-value").textContent = `${width.toFixed(1)} %`;
  at("level-value").textContent = `${level.toFixed(1)} %`;
  const [low, high] = [level - width / 2, level + width / 2].map((value) => (value / 100) * image.max);
  viewer.setWindow(low, high, at("invert").checked);
  viewer.draw();
}

for (const id of ["width", "level", "invert"]) at(id).addEventListener("input", applyWindow);
for (const id of ["opacity", "show-map"]) at(id).addEventListener("input", showMap);
at("reset").addEventListener("click", resetWindow);

at("view").addEventListener("pointermove", (event) => {
  if (event.pointerType !== "mouse" || event.buttons !== 1) return; // a finger scrolls
  const scale = 100 / at("view").clientWidth;
  at("width").value = Number(at("width").value) + event.movementX * scale;
  at("level").value = Number(at("level").value) - event.movementY * scale;
  applyWindow();
});

// Downloads

function showDownloads(isDicom) {
  at("objects").disabled = !isDicom || !model.dicom_objects;
  at("no-objects").hidden = !at("objects").disabled;
  at("no-objects").textContent = isDicom
    ? "DICOM results need the package highdicom on the service."
    : "DICOM results join the study of their image; this file is not a DICOM image.";
}

async function download(button, query, name) {
  button.disabled = true;
  at("problem").hidden = true;
  try {
    const content = await (await upload(file, query)).blob();
    const link = document.createElement("a");
    link.href = URL.createObjectURL(content);
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  } catch (error) {
    if (error.status === 401) askForToken();
    else showProblem(error, file.name);
  } finally {
    button.disabled = false;
  }
}

at("objects").addEventListener("click", () => download(at("objects"), { format: "zip" }, "ggcam.zip"));
at("overlay").addEventListener("click", () =>
  download(at("overlay"), { format: "png", class: shownClass }, "overlay.png")
);

// Choosing and dropping

at("file").addEventListener("change", (event) => {
  const [chosen] = event.target.files;
  event.target.value = ""; // the same file may be chosen again
  if (chosen && model) predict(chosen);
});

for (const name of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(name, (event) => {
    event.preventDefault(); // or the browser would leave the page for the image
    at("drop").classList.toggle("over", name === "dragover");
    const [chosen] = event.dataTransfer?.files ?? [];
    if (name === "drop" && chosen && model) predict(chosen);
  });
}

start();
