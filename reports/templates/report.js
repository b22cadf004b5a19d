"use strict";
// A figure is drawn only when it comes near the screen: a front of twenty networks has a hundred figures.
const dark = matchMedia("(prefers-color-scheme: dark)");
const drawn = new Set();

// plotly.js comes compressed. It is unpacked once, before the first figure.
async function unpack() {
  const packed = document.getElementById("plotly").textContent;
  const bytes = Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const script = document.createElement("script");
  script.textContent = await new Response(stream).text();
  document.head.append(script);
}
const unpacked = unpack();
unpacked.catch(() => {
  for (const box of document.querySelectorAll(".figure")) {
    box.append("This browser is too old to draw the figure. All numbers are in the tables.");
  }
});

function ink() {
  const style = getComputedStyle(document.documentElement);
  const [text, panel, rule] = ["--text", "--panel", "--rule"].map((name) => style.getPropertyValue(name).trim());
  return {
    "font.color": text,
    "hoverlabel.bgcolor": panel,
    "hoverlabel.bordercolor": rule,
    "hoverlabel.font.color": text,
  };
}

// The browser's own menus replace Plotly's: they work with the keyboard and fit a phone.
function addMenus(box, plot, menus) {
  for (const menu of menus) {
    const label = document.createElement("label");
    const select = document.createElement("select");
    label.className = "menu";
    label.append(menu.name, " ", select);
    menu.buttons.forEach((button, index) => select.add(new Option(button.label, index)));
    select.addEventListener("change", () => {
      const button = menu.buttons[select.value];
      Plotly[button.method](plot, ...structuredClone(button.args));
    });
    box.prepend(label);
  }
}

async function draw(box) {
  if (drawn.has(box)) return;
  drawn.add(box);
  await unpacked;
  const figure = JSON.parse(box.querySelector("script").textContent);
  const menus = figure.layout.updatemenus || [];
  delete figure.layout.updatemenus;
  // A finger on a figure should scroll the page, not zoom the figure.
  if (matchMedia("(pointer: coarse)").matches) figure.layout.dragmode = false;
  const plot = document.createElement("div");
  box.append(plot);
  addMenus(box, plot, menus);
  await Plotly.newPlot(plot, figure.data, figure.layout, { responsive: true, displayModeBar: false });
  await Plotly.relayout(plot, ink());
  plot.on("plotly_click", ({ points }) => {
    const id = CSS.escape(String(points[0].customdata));
    const target = document.querySelector(`[data-network="${id}"]`);
    if (!target) return;
    if (location.hash === `#${target.id}`) reveal();
    else location.hash = target.id;
  });
  box.dataset.drawn = "";
}

// A link to a folded part unfolds it.
function reveal() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  for (let box = target; box; box = box.parentElement) if (box.tagName === "DETAILS") box.open = true;
  if (target) target.scrollIntoView();
}

// The headings of each column, from top to bottom.
function headings(table) {
  const grid = [];
  for (const [y, row] of [...(table.tHead?.rows ?? [])].entries()) {
    let x = 0;
    for (const cell of row.cells) {
      while (grid[y]?.[x]) x += 1;
      for (let dy = 0; dy < cell.rowSpan; dy += 1) {
        for (let dx = 0; dx < cell.colSpan; dx += 1) (grid[y + dy] ??= [])[x + dx] = cell;
      }
      x += cell.colSpan;
    }
  }
  return (grid[0] ?? []).map((_, x) => [...new Set(grid.map((row) => row[x]))].filter((cell) => cell.textContent));
}

function label(table) {
  const columns = headings(table);
  for (const row of table.querySelectorAll("tbody tr:not(.group), tfoot tr")) {
    [...row.cells].forEach((cell, x) => {
      if (!columns[x]?.length || !cell.textContent.trim() || (x === 0 && !cell.classList.contains("n"))) return;
      const name = document.createElement("span");
      name.className = "label";
      columns[x].forEach((heading, y) => {
        const part = document.createElement("span");
        part.className = heading.className;
        for (const node of heading.childNodes) part.append(node.cloneNode(true));
        name.append(y ? ", " : "", part);
      });
      cell.prepend(name);
    });
  }
  table.dataset.labelled = "";
}

// A table that is wider than its box would hide numbers. It is set tighter, and if that is not enough, its rows become cards
// with each value under its heading.
function fit() {
  for (const box of document.querySelectorAll(".scroll")) {
    const table = box.querySelector("table");
    if (!table || !box.clientWidth) continue;
    table.classList.remove("tight", "cards");
    if (table.offsetWidth <= box.clientWidth) continue;
    table.classList.add("tight");
    if (table.offsetWidth <= box.clientWidth) continue;
    if (table.dataset.labelled === undefined) label(table);
    table.classList.replace("tight", "cards");
  }
}

const near = new IntersectionObserver(
  (entries) => entries.filter((entry) => entry.isIntersecting).forEach((entry) => draw(entry.target)),
  { rootMargin: "500px" },
);
document.querySelectorAll(".figure").forEach((box) => near.observe(box));
dark.addEventListener("change", () => document.querySelectorAll(".js-plotly-plot").forEach((p) => Plotly.relayout(p, ink())));
document.addEventListener(
  "toggle",
  ({ target }) => {
    if (target.tagName !== "DETAILS" || !target.open) return;
    fit();
    for (const plot of target.querySelectorAll(".js-plotly-plot")) Plotly.Plots.resize(plot);
  },
  true,
);
addEventListener("resize", fit);
addEventListener("hashchange", reveal);
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((box) => (box.open = true)));
fit();
reveal();
addEventListener("beforeprint", () => document.querySelectorAll(".figure").forEach(draw));
