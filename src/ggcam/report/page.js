"use strict";
// Shows, hides, filters and sorts the cases of the gallery, and opens all details for printing.
(() => {
  const tools = document.getElementById("tools");
  const closed = () => document.querySelectorAll("details:not([open])");
  let openedForPrint = [];
  addEventListener("beforeprint", () => { openedForPrint = [...closed()]; openedForPrint.forEach((each) => { each.open = true; }); });
  addEventListener("afterprint", () => { openedForPrint.forEach((each) => { each.open = false; }); });
  if (!tools) return;

  const gallery = document.getElementById("gallery");
  const cases = [...gallery.children];
  const field = (id) => document.getElementById(id);
  const count = field("count");

  const setOpacity = () => {
    const percent = field("opacity").value;
    gallery.style.setProperty("--opacity", percent / 100);
    field("opacity-value").value = `${percent} %`;
  };

  const setLayers = () => {
    for (const box of tools.querySelectorAll("[data-layer]")) gallery.classList.toggle(`show-${box.dataset.layer}`, box.checked);
  };

  // Shows the CAM of a class in one case; a case without it does not change.
  const showClass = (figure, number) => {
    const radio = figure.querySelector(`input[type=radio][value="${number}"]`);
    if (!radio) return;
    radio.checked = true;
    for (const image of figure.querySelectorAll(".cam")) image.classList.toggle("on", image.dataset.class === number);
    figure.querySelector(".cam-name").textContent = radio.parentElement.querySelector(".class-name").textContent;
  };

  const showChosen = () => {
    const chosen = field("cam-class").value;
    for (const figure of cases) showClass(figure, chosen in figure.dataset ? figure.dataset[chosen] : chosen);
  };

  const inRange = { low: (cc) => cc < 0.25, middle: (cc) => cc >= 0.25 && cc <= 0.5, high: (cc) => cc > 0.5 };

  const matches = ({ dataset }) => {
    const outcome = field("outcome").value, name = field("true-class").value, agreement = field("agreement").value;
    if (outcome && dataset.outcome !== outcome) return false;
    if (name && !JSON.parse(dataset.truth).includes(name)) return false;
    if (!agreement) return true;
    if (agreement === "none") return dataset.agreement === "";
    return dataset.agreement !== "" && inRange[agreement](Number(dataset.agreement));
  };

  const filter = () => {
    for (const figure of cases) figure.hidden = !matches(figure);
    count.value = `${cases.filter((figure) => !figure.hidden).length} of ${cases.length} cases`;
  };

  const orders = {
    truth_probability: (a, b) => a.dataset.truthProbability - b.dataset.truthProbability,
    agreement: (a, b) => (a.dataset.agreement === "") - (b.dataset.agreement === "") || a.dataset.agreement - b.dataset.agreement,
    name: (a, b) => a.dataset.name.localeCompare(b.dataset.name, undefined, { numeric: true }),
  };
  const sort = () => gallery.append(...[...cases].sort(orders[field("order").value]));

  const enlarge = (figure, large) => {
    figure.classList.toggle("large", large);
    const button = figure.querySelector(".enlarge");
    button.setAttribute("aria-pressed", String(large));
    button.textContent = large ? "Shrink" : "Enlarge";
  };

  const applyAll = () => { setOpacity(); setLayers(); showChosen(); filter(); sort(); };

  field("opacity").addEventListener("input", setOpacity);
  field("cam-class").addEventListener("change", showChosen);
  for (const id of ["outcome", "true-class", "agreement"]) field(id).addEventListener("change", filter);
  field("order").addEventListener("change", sort);
  for (const box of tools.querySelectorAll("[data-layer]")) box.addEventListener("change", setLayers);
  tools.addEventListener("submit", (event) => event.preventDefault());
  tools.addEventListener("reset", () => setTimeout(applyAll));
  gallery.addEventListener("change", ({ target }) => {
    if (target.type === "radio") showClass(target.closest(".case"), target.value);
  });
  gallery.addEventListener("click", ({ target }) => {
    if (target.matches(".enlarge")) enlarge(target.closest(".case"), target.getAttribute("aria-pressed") === "false");
  });
  addEventListener("keydown", ({ key }) => {
    if (key === "Escape") for (const figure of gallery.querySelectorAll(".large")) enlarge(figure, false);
  });
  for (const button of gallery.querySelectorAll(".enlarge")) button.hidden = false;
  tools.hidden = false;
  applyAll();  // browsers restore form fields when a page is reloaded
})();
