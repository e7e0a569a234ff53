// Draws each panel from its rows: the chart, its table and its CSV file. Reads the page's two JSON blocks and writes text
// only (textContent), so that no value becomes markup.
const data = JSON.parse(document.getElementById("data").textContent);
const config = JSON.parse(document.getElementById("config").textContent);
const AXIS_SPACE = 86; // pixels for the axes of a concatenated chart, which Vega-Lite cannot fit to its container

function make(tag, attributes = {}, ...children) {
  const element = Object.assign(document.createElement(tag), attributes);
  element.append(...children);
  return element;
}

// ------------------------------------------------------------------------------------------------ rows

function rowsOf({ names, values }) {
  return values[0].map((_, row) => Object.fromEntries(names.map((name, column) => [name, values[column][row]])));
}

function formatted(value, { format, digits, signed }) {
  if (value === null || value === undefined || value === "") return "–";
  if (typeof value === "string") return format === "text" && /^\d{4}-\d\d-\d\dT/.test(value) ? value.slice(0, 16).replace("T", " ") : value;
  if (format === "text") return String(value);
  const options = { minimumFractionDigits: digits, maximumFractionDigits: digits, signDisplay: signed ? "exceptZero" : "auto" };
  if (format !== "percent") return value.toLocaleString("en", options);
  const percent = (share) => share.toLocaleString("en", { ...options, style: "percent" });
  const step = 10 ** -(digits + 2); // some is not none, and nearly all is not all
  if (value > 0 && value < step / 2) return `<${percent(step)}`;
  if (value < 1 && value > 1 - step / 2) return `>${percent(1 - step)}`;
  return percent(value);
}

function cell(value, column) {
  const isNumber = column.format !== "text";
  const text = formatted(value, column);
  const td = make("td", { textContent: text, className: isNumber ? "right" : /^\d{4}-\d\d-\d\d/.test(text) ? "date" : text.length > 18 ? "long" : "" });
  if (column.format === "bar") {
    const filled = make("i");
    filled.style.width = `${(100 * value) / column.maximum}%`;
    td.append(make("span", { className: "bar" }, filled));
  }
  return td;
}

function table({ columns }, rows, title) {
  const head = columns.map((column) => make("th", { scope: "col", textContent: column.label, className: column.format === "text" ? "" : "right" }));
  const body = rows.map((row) => make("tr", {}, ...columns.map((column) => cell(row[column.name], column))));
  return make("table", {}, make("caption", { textContent: title }), make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...body));
}

// A spreadsheet runs text that begins with one of these as a formula, quoted or not. A single quote before it makes it text
// (OWASP, "CSV injection"). Numbers stay numbers, negative ones too.
const asText = (value) => (typeof value === "string" && /^[=+\-@\t\r\n]/.test(value) ? `'${value}` : String(value ?? ""));

function csv({ columns }, rows) {
  const field = (value) => (/[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);
  const lines = rows.map((row) => columns.map((column) => field(asText(row[column.name]))));
  return [columns.map((column) => field(column.name)), ...lines].map((line) => line.join(",")).join("\r\n") + "\r\n";
}

function download(name, text) {
  const link = make("a", { href: URL.createObjectURL(new Blob([text], { type: "text/csv;charset=utf-8" })), download: `${name}.csv` });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

// ------------------------------------------------------------------------------------------------ charts

const sized = (spec, width) => (spec.vconcat ? { ...spec, vconcat: spec.vconcat.map((each) => ({ ...each, width })) } : spec);

async function draw(panel) {
  const width = Math.max(panel.chart.clientWidth - AXIS_SPACE, 120);
  // On a phone, labels beside bars take less than half of the width, axes have few labels, and legend entries go below each other.
  const isNarrow = panel.chart.clientWidth < 480;
  const axisY = { ...config.axisY, labelLimit: isNarrow ? 118 : 240 };
  const axisX = { ...config.axisX, ...(isNarrow && { tickCount: 4 }) };
  const legend = { ...config.legend, ...(isNarrow && { columns: 1 }) };
  const spec = { ...sized(panel.spec, width), datasets: { rows: panel.rows() } };
  // The panel's title and answer describe the chart to screen readers; Vega's own descriptions are hidden.
  const done = await vegaEmbed(panel.chart.firstElementChild, spec, { config: { ...config, axisX, axisY, legend }, renderer: "svg", actions: false, tooltip: { theme: "custom" } });
  panel.drawn?.finalize();
  panel.drawn = done;
}

async function wire(section) {
  const own = data[section.id];
  const all = rowsOf(own);
  const panel = { spec: own.spec, chart: section.querySelector(".chart"), rows: () => all };
  const scroll = section.querySelector(".scroll");
  const details = section.querySelector("details");
  const fill = () => scroll.replaceChildren(table(own, panel.rows(), section.querySelector("h2").textContent));
  section.querySelector(".csv").addEventListener("click", () => download(section.id, csv(own, all)));
  if (details) details.addEventListener("toggle", () => details.open && fill());
  else fill();
  const input = section.querySelector(".pick input");
  if (input) {
    const status = section.querySelector("[role=status]");
    const picked = () => all.filter((row) => row[own.pick] === input.value);
    panel.rows = picked;
    let last = input.value;
    // Select the text on focus, so that typing replaces it: the browser lists only choices that match the text.
    input.addEventListener("focus", () => { last = input.value; input.select(); });
    input.addEventListener("input", () => {
      const rows = picked();
      status.textContent = rows.length ? "" : "Choose one from the list.";
      if (!rows.length) return;
      last = input.value;
      draw(panel);
      if (!details || details.open) fill();
    });
    input.addEventListener("blur", () => { if (!picked().length) { input.value = last; status.textContent = ""; } });
  }
  if (!panel.spec) return;
  await draw(panel);
  if (!panel.spec.vconcat) return; // other charts follow their container's width
  let drawnAt = panel.chart.clientWidth;
  new ResizeObserver(() => {
    if (Math.abs(panel.chart.clientWidth - drawnAt) < 2) return;
    drawnAt = panel.chart.clientWidth;
    draw(panel);
  }).observe(panel.chart);
}

// ------------------------------------------------------------------------------------------------ theme

const button = document.getElementById("theme");
const prefersDark = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (document.documentElement.dataset.theme ?? (prefersDark.matches ? "dark" : "light")) === "dark";
const label = () => {
  button.textContent = isDark() ? "Light" : "Dark";
  button.setAttribute("aria-label", `Switch to ${isDark() ? "light" : "dark"} colours`);
  button.removeAttribute("aria-pressed");
};
button.addEventListener("click", () => {
  document.documentElement.dataset.theme = isDark() ? "light" : "dark";
  try { localStorage.setItem("theme", document.documentElement.dataset.theme); } catch { /* not kept */ }
  label();
});
prefersDark.addEventListener("change", label);
label();

document.querySelector("[aria-current]").scrollIntoView({ block: "nearest", inline: "center" });
await Promise.all([...document.querySelectorAll("section.panel:not([data-empty])")].map(wire));
document.documentElement.dataset.drawn = "yes";
