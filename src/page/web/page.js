// The page: its head, the choice of data, protocol and rows, and its sections in their order.
const results = data.tables.filter(({ place }) => place === "each" || place === "mean");
const distinct = (values) => [...new Set(values)];
const inResults = {
  data: distinct([...results.map((table) => table.data), ...data.curves.curves.map((curve) => curve.data)]),
  protocols: distinct(results.map((table) => table.protocol)),
  modes: distinct([...results.map((table) => table.place), ...data.curves.curves.map((curve) => curve.mode)])
    .filter((mode) => mode !== "both"),
};

/** What was chosen before, where it still is there; else the first. */
function keptChoice(name, values, first = values[0]) {
  const value = kept.get(name, first);
  return values.includes(value) ? value : (first ?? "");
}
const chosen = {
  data: keptChoice("data", inResults.data),
  protocol: keptChoice("protocol", inResults.protocols),
  mode: keptChoice("mode", inResults.modes, inResults.modes.includes("mean") ? "mean" : "each"),
};

const curves = data.curves.curves.length > 0 ? makeCurves(() => chosen) : null;

function makeResults() {
  if (results.length === 0) {
    return null;
  }
  const place = el("div");
  function draw() {
    const of = (mode) => results.find((table) =>
      table.data === chosen.data && table.protocol === chosen.protocol && table.place === mode);
    const table = of(chosen.mode) ?? of("each") ?? of("mean");
    place.replaceChildren(table === undefined ? el("p", { class: "quiet" }, "No run of these data is finished.")
      : makeTable(table, { name: `table ${table.place}`, caption: table.title, showRuns }));
  }
  const choose = (name) => (value) => {
    chosen[name] = value;
    kept.set(name, value);
    draw();
    curves?.draw();
  };
  draw();
  const dataChoice = inResults.data.length < 2 ? null : el("label", {}, "Data",
    el("select", { onchange: (event) => choose("data")(event.target.value) },
      inResults.data.map((name) => el("option", { value: name, selected: name === chosen.data }, name))));
  return section("results", "Results",
    el("div", { class: "bar" }, dataChoice,
      choice("Protocol", inResults.protocols.map((name) => [name, name]), chosen.protocol, choose("protocol")),
      choice("Rows", inResults.modes.map((name) => [name, name === "mean" ? "mean over seeds" : "each seed"]),
        chosen.mode, choose("mode"))),
    inResults.data.length === 1 && inResults.data[0] ? el("p", { class: "quiet small" }, inResults.data[0]) : null,
    place);
}

function makeState() {
  const table = data.tables.find(({ place }) => place === "state");
  return table === undefined ? null : section("state", "State",
    makeTable(table, { name: "state", caption: table.title, showRuns }));
}

function makePublished() {
  const tables = data.tables.filter(({ place }) => place === "published");
  return tables.length === 0 ? null : section("published", "Published results", tables.map((table, i) =>
    [el("h3", {}, table.title), makeTable(table, { name: `published ${i}`, caption: table.title, showRuns })]));
}

function themeButton() {
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ?? (dark.matches ? "dark" : "light")) === "dark";
  const theme = kept.get("theme", null);
  if (theme !== null) {
    root.dataset.theme = theme;
  }
  const label = () => (isDark() ? "Light" : "Dark");
  const button = el("button", {
    type: "button", id: "theme",
    onclick: () => {
      root.dataset.theme = isDark() ? "light" : "dark";
      kept.set("theme", root.dataset.theme);
      button.textContent = label();
    },
  }, label());
  dark.addEventListener("change", () => {
    button.textContent = label();
  });
  return button;
}

function makePage() {
  document.title = data.title;
  const sections = [makeState(), makeResults(), curves?.section, makePredictions(), makePublished(),
    makeConfigs(showRuns), makeRuns()].filter(Boolean);
  document.getElementById("head").append(
    el("div", { class: "top" }, el("h1", {}, data.title), themeButton()),
    ...(data.summary ? [el("p", { class: "quiet" }, data.summary)] : []));
  document.getElementById("nav").append(...sections.map((part) =>
    el("a", { href: `#${part.id}` }, part.querySelector("h2").textContent)));
  document.getElementById("main").append(...sections);
  document.getElementById("foot").append(`Made ${data.made.replace("T", " ").replace("Z", " UTC")} by XTasC ${data.version}.`,
    data.reload > 0 ? ` Loads itself again every ${data.reload} s.` : "");
  // A closed part is left out by printers.
  addEventListener("beforeprint", () => document.querySelectorAll(".run").forEach((run) => {
    run.open = true;
  }));
  if (data.reload > 0) {
    setTimeout(() => location.reload(), data.reload * 1000);
  }
}

makePage();
