"use strict";
// A figure is drawn only when it comes near the screen: a front of twenty networks has a hundred figures.
const dark = matchMedia("(prefers-color-scheme: dark)");
const drawn = new Set();

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
    if (target) location.hash = target.id;
  });
  box.dataset.drawn = "";
}

const near = new IntersectionObserver(
  (entries) => entries.filter((entry) => entry.isIntersecting).forEach((entry) => draw(entry.target)),
  { rootMargin: "500px" },
);
document.querySelectorAll(".figure").forEach((box) => near.observe(box));
dark.addEventListener("change", () => document.querySelectorAll(".js-plotly-plot").forEach((p) => Plotly.relayout(p, ink())));
addEventListener("beforeprint", () => document.querySelectorAll(".figure").forEach(draw));
