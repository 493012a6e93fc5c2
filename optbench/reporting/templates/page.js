// Tables that sort, and one bar that decides for all figures and tables what is shown. Everything
// of an optimizer carries data-o, everything of a problem data-p; a style sheet picks among them.
"use strict";
const all = (what, within = document) => [...within.querySelectorAll(what)];

// Sorts by the column whose heading is pressed. What has no value stays last both ways.
for (const table of all("table.sortable")) {
  all("thead th", table).forEach((heading, index) => {
    if (!heading.textContent.trim()) return;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const falling = heading.getAttribute("aria-sort") === "ascending";
      const sign = falling ? -1 : 1;
      const body = table.tBodies[0];
      const key = (row) => row.cells[index].dataset.sort;
      const rows = [...body.rows].sort((one, two) => {
        const [a, b] = [key(one), key(two)];
        if (a === undefined || b === undefined) return (a === undefined) - (b === undefined);
        // Numbers where both are, whatever the column: intervals and effects are words with a number.
        const [x, y] = [Number(a), Number(b)];
        if (a === "" || b === "" || isNaN(x) || isNaN(y)) return sign * a.localeCompare(b);
        return sign * (x > y ? 1 : x < y ? -1 : 0);
      });
      body.append(...rows);
      for (const other of heading.parentNode.cells) other.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", falling ? "descending" : "ascending");
    });
  });
}

const bar = document.querySelector(".controls");
const boxes = all("input", bar);
const pins = all(".pin", bar);
const select = bar.querySelector("select");
const press = (value, act) => bar.querySelector(`.plain[value=${value}]`)?.addEventListener("click", act);
const names = new Map(pins.map((pin) => [pin.value, pin.textContent]));
const sheet = document.head.appendChild(document.createElement("style"));
sheet.media = "screen"; // print shows everything
let hovered = "";
bar.hidden = false;

// What is chosen stands in the bar's own elements, and nowhere else.
function state() {
  return {
    off: boxes.filter((box) => !box.checked).map((box) => box.value),
    pin: pins.filter((pin) => pin.getAttribute("aria-pressed") === "true").map((pin) => pin.value),
    p: select?.value ?? "",
  };
}

function rules({ off, pin, p }) {
  const of = (name) => `[data-o="${name}"]`;
  const lit = hovered ? [hovered] : pin;
  const found = [];
  if (off.length) found.push(`${off.map(of).join()} { display: none }`);
  if (lit.length) {
    found.push(`.card ${"[data-o]" + lit.map((name) => `:not(${of(name)})`).join("")} { opacity: .12 }`);
    found.push(`${lit.map((name) => `tr${of(name)} > td`).join()} { background: var(--lit) !important }`);
    // A line that is grey in company has its turn, too.
    for (const name of lit) {
      const own = pins.find((pin) => pin.value === name)?.querySelector("path").style.stroke ?? "var(--f-ink)";
      found.push(`.card ${of(name)} [style*="stroke: var(--f-rest)"] { stroke: ${own} !important; stroke-width: 1.6 !important }`);
    }
  }
  if (p) found.push(`:is(tr, th, td)[data-p]:not([data-p="${p}"]), .alone g[data-p]:not([data-p="${p}"]) { display: none }`);
  return found.join("\n");
}

// A figure of several problems shows the one that is chosen, as large as there is room for.
function crop(figure, p) {
  const svg = figure.querySelector("svg");
  const panels = all("g[data-p]", svg);
  const mine = panels.filter((panel) => panel.dataset.p === p);
  svg.dataset.whole ??= svg.getAttribute("viewBox");
  svg.setAttribute("viewBox", svg.dataset.whole);
  svg.removeAttribute("style");
  figure.querySelector(".axes")?.remove();
  figure.classList.toggle("away", Boolean(p && panels.length && !mine.length));
  figure.classList.toggle("alone", Boolean(p && mine.length && mine.length < panels.length));
  if (!figure.classList.contains("alone")) return;
  // Not the group's own box: lines go on, unseen, beyond where they are clipped.
  const boxes = mine.flatMap((panel) => [panel.querySelector("path"), ...all("text", panel)])
    .map((part) => part?.getBoundingClientRect()).filter((box) => box?.width);
  if (!boxes.length) return; // shut away in a fold; its opening brings us here again
  const back = svg.getScreenCTM().inverse();
  const edge = (way, side) => Math[way](...boxes.map((box) => box[side]));
  const low = new DOMPoint(edge("min", "left"), edge("min", "top")).matrixTransform(back);
  const high = new DOMPoint(edge("max", "right"), edge("max", "bottom")).matrixTransform(back);
  const [x, y, width, height] = [low.x - 6, low.y - 6, high.x - low.x + 12, high.y - low.y + 12];
  svg.setAttribute("viewBox", `${x} ${y} ${width} ${height}`);
  svg.style.cssText = `min-width: 0; width: min(100%, ${2.5 * width}px)`;
  const words = [svg.dataset.y, svg.dataset.x].filter(Boolean).join(", by ");
  if (!words) return;
  const note = document.createElement("p");
  note.className = "note axes";
  note.textContent = words[0].toUpperCase() + words.slice(1);
  figure.querySelector(".card").before(note);
}

function light() {
  const text = rules(state());
  if (sheet.textContent !== text) sheet.textContent = text;
}

function update() {
  const now = state();
  light();
  for (const figure of all("figure")) crop(figure, now.p);
  const output = bar.querySelector(".count");
  const more = now.pin.length ? `, ${now.pin.length} brought out` : "";
  if (output) output.textContent = (now.off.length ? `${boxes.length - now.off.length} of ${boxes.length} shown` : "all shown") + more;
  const said = Object.entries(now).filter(([, value]) => value.length).map(([key, value]) => `${key}=${value}`).join("&");
  bar.querySelector(".plain[value=reset]").hidden = !said;
  bar.querySelector("[data-whole]").hidden = !now.p;
  // Part of the address, so that what is seen can be sent to somebody. A section's anchor is left.
  if (said || location.hash.startsWith("#?")) history.replaceState(null, "", said ? `#?${said}` : "#");
}

function restore() {
  if (!location.hash.startsWith("#?")) return;
  const said = new URLSearchParams(location.hash.slice(2));
  const listed = (key) => new Set((said.get(key) ?? "").split(","));
  for (const box of boxes) box.checked = !listed("off").has(box.value);
  for (const pin of pins) pin.setAttribute("aria-pressed", listed("pin").has(pin.value));
  const p = said.get("p") ?? "";
  if (select) select.value = [...select.options].some((option) => option.value === p) ? p : "";
  update();
}

const tick = (shown) => () => { for (const box of boxes) box.checked = shown; update(); };
press("all", tick(true));
press("none", tick(false));
press("reset", () => {
  for (const pin of pins) pin.setAttribute("aria-pressed", "false");
  if (select) select.value = "";
  tick(true)();
});
for (const box of boxes) box.addEventListener("change", update);
select?.addEventListener("change", update);
for (const pin of pins) {
  pin.addEventListener("click", () => {
    pin.setAttribute("aria-pressed", pin.getAttribute("aria-pressed") !== "true");
    update();
  });
  const hover = (name) => () => { hovered = name; light(); };
  for (const event of ["pointerenter", "focus"]) pin.addEventListener(event, hover(pin.value));
  for (const event of ["pointerleave", "blur"]) pin.addEventListener(event, hover(""));
}

// A line in a figure says whose it is.
const tip = document.body.appendChild(document.createElement("div"));
tip.className = "tip";
tip.hidden = true;
document.addEventListener("pointerover", (event) => {
  const name = event.target.closest?.(".card [data-o]")?.dataset.o ?? "";
  if (tip.hidden && !name) return;
  tip.hidden = !name;
  tip.textContent = names.get(name) ?? name;
  hovered = name;
  light();
});
document.addEventListener("pointermove", (event) => {
  if (tip.hidden) return;
  tip.style.left = `${Math.min(event.clientX + 12, innerWidth - tip.offsetWidth - 4)}px`;
  tip.style.top = `${event.clientY + 14}px`;
});

// Light, dark, or what the system says: by rewriting the queries that ask it.
const asking = [...document.styleSheets].flatMap((one) => [...one.cssRules])
  .filter((rule) => rule.media?.mediaText.includes("prefers-color-scheme"));
const asked = asking.map((rule) => rule.media.mediaText);
const themes = ["auto", "light", "dark"];
let theme = "auto";
function paint(wanted) {
  theme = themes.includes(wanted) ? wanted : "auto";
  asking.forEach((rule, index) => {
    rule.media.mediaText = { auto: asked[index], light: "not all", dark: "screen" }[theme];
  });
  document.documentElement.style.colorScheme = theme === "auto" ? "" : theme;
  const button = bar.querySelector("[value=theme]");
  button.textContent = `◐ ${theme}`;
  button.setAttribute("aria-label", `Colours: ${theme}`);
}
press("theme", () => {
  paint(themes[(themes.indexOf(theme) + 1) % themes.length]);
  try { localStorage.setItem("theme", theme); } catch { /* a page from a file may have no memory */ }
});
try { paint(localStorage.getItem("theme")); } catch { paint("auto"); }

// The menu says where one is.
const links = new Map(all("nav a").map((link) => [link.hash.slice(1), link]));
const seen = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (!isIntersecting) continue;
    for (const link of links.values()) link.removeAttribute("aria-current");
    links.get(target.id)?.setAttribute("aria-current", "true");
  }
}, { rootMargin: "-20% 0px -75% 0px" });
for (const section of all("main > section")) seen.observe(section);

// On paper nothing is shut, and nothing left out.
let shut = [];
addEventListener("beforeprint", () => {
  shut = all("details.fold:not([open])");
  for (const fold of shut) fold.open = true;
  for (const figure of all("figure")) crop(figure, "");
});
addEventListener("afterprint", () => {
  for (const fold of shut) fold.open = false;
  update();
});
// A figure within a fold has no size before it is opened.
document.addEventListener("toggle", (event) => {
  if (event.target.open && event.target.matches(".fold")) for (const figure of all("figure", event.target)) crop(figure, state().p);
}, true);
addEventListener("hashchange", restore);
restore();
