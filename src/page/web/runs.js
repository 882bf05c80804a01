// What runs are: in what their configs differ, where they come from, what they warned of, what they predict.

/** Configs as a table: a row a run, a column a key in which any two differ; or all keys. */
function configTable(showAll) {
  const { common, runs } = data.configs;
  const own = [...new Set(runs.flatMap((run) => Object.keys(run.config)))].sort();
  const keys = showAll ? [...own, ...Object.keys(common)] : own;
  const cellOf = (text) => {
    const isNumeric = text !== undefined && text !== "" && !Number.isNaN(Number(text));
    return { t: text || "-", ...(isNumeric ? { v: Number(text) } : {}) };
  };
  const rows = runs.map((run, i) => ({
    runs: [i], style: run.style, cells: [{ t: run.name }, ...keys.map((key) => cellOf(run.config[key] ?? common[key]))],
  }));
  const columns = keys.map((key, at) => ({ key, header: key, text: rows.some((row) => row.cells[at + 1].v === undefined) }));
  return { columns: [{ key: "run", header: "Run", text: true }, ...columns], rows };
}

function makeConfigs(showRuns) {
  const { runs } = data.configs;
  if (runs.length < 2) {
    return null;
  }
  const place = el("div");
  const draw = (showAll) => place.replaceChildren(
    makeTable(configTable(showAll), { name: "configs", caption: "Configs of the runs", showRuns }));
  draw(false);
  return section("configs", "Configs",
    el("div", { class: "bar" }, el("label", {},
      el("input", { type: "checkbox", onchange: (event) => draw(event.target.checked) }), "Keys on which all agree, too")),
    place);
}

function facts(pairs) {
  return el("dl", {}, pairs.map(([label, value]) => [el("dt", {}, label), el("dd", {}, value)]).flat());
}

function warningsList(warnings, title) {
  return warnings.length === 0 ? null : el("div", { class: "warnings" }, el("strong", {}, title),
    el("ul", { class: "plain" }, warnings.map((text) => el("li", {}, ...withCode(text)))));
}

/** A run's own part: what it has that others have not, provenance, warnings, and all keys on demand. */
function runDetails(run, i) {
  const own = Object.entries(run.config).sort();
  const all = Object.entries({ ...data.configs.common, ...run.config }).sort();
  return el("details", { class: "run", id: `run-${i}` },
    el("summary", {}, el("span", {}, swatch(run.style), run.name),
      run.state === "done" ? null : el("span", { class: "quiet small" }, run.state),
      run.warnings.length > 0 ? el("span", { class: "small", style: "color: var(--warn)" },
        `${run.warnings.length} warning${run.warnings.length === 1 ? "" : "s"}`) : null),
    warningsList(run.warnings, "It warned:"),
    el("div", { class: "columns" },
      el("div", {}, el("h3", {}, "Provenance"), facts(run.facts)),
      el("div", {}, el("h3", {}, data.configs.runs.length > 1 ? "Config, where runs differ" : "Config"), facts(own),
        data.configs.runs.length > 1
          ? el("details", {}, el("summary", { class: "small" }, `All ${all.length} keys`), facts(all)) : null)));
}

function makeRuns() {
  const { runs } = data.configs;
  if (runs.length === 0 && data.left_out.length === 0 && data.warnings.length === 0) {
    return null;
  }
  return section("runs", "Runs",
    warningsList(data.warnings, "Warnings"),
    runs.map(runDetails),
    data.left_out.length === 0 ? null : [el("h3", {}, "Left out of the tables"),
      el("ul", { class: "plain small" }, data.left_out.map(({ folder, reason }) =>
        el("li", {}, el("code", {}, folder), `: ${reason}`)))]);
}

/** Opens the parts of some runs, and goes there. */
function showRuns(indices) {
  const elements = indices.map((i) => document.getElementById(`run-${i}`)).filter(Boolean);
  elements.forEach((element) => {
    element.open = true;
  });
  elements[0]?.scrollIntoView({ block: "start" });
  elements[0]?.querySelector("summary").focus({ preventScroll: true });
}

/** Truth and prediction one above the other; a slider moves the edge between them. */
function compare(title, scale, truth, predicted, size) {
  const caption = el("figcaption", {}, title, scale ? el("span", { class: "quiet small" }, el("span", { class: "scale" }), scale) : null);
  if (!truth) {
    const only = el("img", { src: predicted, alt: `${title}, predicted`, ...size });
    return el("figure", {}, caption, el("div", { class: "picture" }, only));
  }
  const picture = el("div", { class: "picture", style: "--at: 50%" },
    el("img", { src: truth, alt: `${title}, truth`, ...size }),
    el("img", { src: predicted, alt: `${title}, predicted`, class: "over", ...size }),
    el("div", { class: "divider" }),
    el("input", {
      type: "range", min: 0, max: 100, value: 50, "aria-label": `${title}: truth to the left, prediction to the right`,
      oninput: (event) => picture.style.setProperty("--at", `${event.target.value}%`),
    }));
  return el("figure", {}, caption, picture);
}

/** The panels of one pack: some samples, and what one run, which a reader chooses, predicts there. */
function makePanels(panels, number) {
  const name = `panels ${number}`;
  const runs = data.configs.runs;
  const size = { width: panels.width, height: panels.height };
  const place = el("div");
  function draw(at) {
    kept.set(name, at);
    place.replaceChildren(...panels.samples.map((sample, i) => el("div", { class: "sample" }, el("h3", {}, sample),
      el("figure", {}, el("figcaption", {}, "image"),
        el("div", { class: "picture" }, el("img", { src: panels.images[i], alt: `image ${sample}`, ...size }))),
      panels.maps.filter((map) => map.predicted[at].length > 0).map((map) =>
        compare(map.title, map.scale, map.truth[i], map.predicted[at][i], size)))));
  }
  const numMaps = (at) => panels.maps.filter((map) => map.predicted[at].length > 0).length;
  const first = panels.runs.reduce((best, run, at) => (numMaps(at) > numMaps(best) ? at : best), 0);
  const chosen = Math.min(kept.get(name, first), panels.runs.length - 1);
  draw(chosen);
  return el("div", {}, data.panels.length > 1 ? el("h3", {}, panels.data) : null,
    el("div", { class: "bar" }, el("label", {}, "Run", el("select", { onchange: (event) => draw(Number(event.target.value)) },
      panels.runs.map((run, at) => el("option", { value: at, selected: at === chosen }, runs[run].name))))),
    el("ul", { class: "classes", "aria-label": "Classes" },
      panels.classes.map((of) => el("li", {}, el("i", { style: `background: ${of.color}` }), of.name))),
    place);
}

function makePredictions() {
  return data.panels.length === 0 ? null : section("predictions", "Predictions",
    el("p", { class: "caption" },
      "Truth to the left of the edge, prediction to its right; grey is unknown. Arrow keys move the edge, too."),
    data.panels.map(makePanels));
}
