// Curves over epochs: a small plot a loss or metric, values under the pointer, runs to switch on and off.
const plot = { width: 380, height: 210, left: 46, right: 8, top: 8, bottom: 24 };
const mostShown = 12;  // curves that are on before a reader chose any

/** Whether there is a number. */
const isNumber = (value) => value !== null && value !== undefined;

/** Places of ticks that people read easily: 1, 2 or 5 times a power of ten apart. */
function linearTicks(low, high, count) {
  const raw = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((times) => times * power).find((of) => of >= raw * 0.999);
  const ticks = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; ++i) {
    ticks.push(i * step);
  }
  return ticks;
}

function logTicks(low, high) {
  const ticks = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); ++power) {
    for (const times of high / low > 100 ? [1] : high / low > 10 ? [1, 3] : [1, 2, 3, 5, 7]) {
      ticks.push(times * 10 ** power);
    }
  }
  return ticks.filter((tick) => tick >= low * 0.999 && tick <= high * 1.001);
}

const tickText = (value) => (value !== 0 && (Math.abs(value) >= 1e5 || Math.abs(value) < 1e-3)
  ? value.toExponential(1).replace(".0e", "e") : String(Number(value.toPrecision(6))));

/** From numbers to pixels; ticks beside. */
function scaleOf(low, high, from, to, isLog) {
  const [a, b] = isLog ? [Math.log(low), Math.log(high)] : [low, high];
  return {
    at: (value) => from + (to - from) * (((isLog ? Math.log(value) : value) - a) / (b - a)),
    ticks: isLog ? logTicks(low, high) : linearTicks(low, high, 4),
  };
}

/** All numbers that a panel draws of a curve. */
function extentOf(curve, key) {
  const values = (curve.train[key] ?? []).filter(isNumber);
  (curve.y[key] ?? []).forEach((value, i) => {
    if (isNumber(value)) {
      const deviation = curve.deviation[key]?.[i] ?? 0;
      values.push(value - deviation, value + deviation);
    }
  });
  return values;
}

/** The path through a column's numbers; it breaks where one is missing. */
function pathOf(epochs, column, x, y) {
  let text = "";
  let isOpen = false;
  column.forEach((value, i) => {
    if (isNumber(value)) {
      text += `${isOpen ? "L" : "M"}${x.at(epochs[i]).toFixed(1)} ${y.at(value).toFixed(1)}`;
    }
    isOpen = isNumber(value);
  });
  return text;
}

function bandOf(curve, key, x, y) {
  const places = curve.epochs.map((epoch, i) => [epoch, curve.y[key][i], curve.deviation[key]?.[i]])
    .filter(([, value, deviation]) => isNumber(value) && isNumber(deviation));
  const side = (sign) => places.map(([epoch, value, deviation]) =>
    `${x.at(epoch).toFixed(1)} ${y.at(value + sign * deviation).toFixed(1)}`);
  return places.length === 0 ? "" : `M${side(1).join("L")}L${side(-1).reverse().join("L")}Z`;
}

/** One panel. \c view: {curves, isLog, epoch (shown under the pointer, or null), onEpoch, strong (a curve, or null)} */
function makePlot(panel, view) {
  const figure = el("figure", { "data-panel": panel.key });
  const tip = el("div", { class: "tip", hidden: true, role: "status" });
  let x = null;
  let cross = null;
  let shown = [];

  function draw() {
    shown = view.curves().filter((curve) => curve.y[panel.key]);
    figure.hidden = shown.length === 0;
    if (figure.hidden) {
      return;
    }
    const values = shown.flatMap((curve) => extentOf(curve, panel.key));
    let [low, high] = [Math.min(...values), Math.max(...values)];
    const isLog = view.isLog() && low > 0 && (panel.key.startsWith("loss/") || panel.key === "learning_rate");
    const margin = low === high ? Math.abs(low) * 0.05 || 1 : (high - low) * 0.05;
    [low, high] = isLog ? [low / 1.05, high * 1.05] : [low >= 0 ? Math.max(0, low - margin) : low - margin, high + margin];
    const epochs = shown.flatMap((curve) => curve.epochs);
    const [first, last] = [Math.min(...epochs), Math.max(...epochs)];
    x = scaleOf(first, Math.max(last, first + 1), plot.left, plot.width - plot.right, false);
    x.ticks = linearTicks(first, Math.max(last, first + 1), 6).filter(Number.isInteger);
    const y = scaleOf(low, high, plot.height - plot.bottom, plot.top, isLog);
    const bottom = plot.height - plot.bottom;
    cross = svg("line", { class: "cross", y1: plot.top, y2: bottom });
    const area = svg("svg", {
      viewBox: `0 0 ${plot.width} ${plot.height}`, tabindex: 0, role: "img",
      "aria-label": `${panel.title} over epochs, ${shown.length} curves. Arrow keys tell the values of an epoch.`,
      onpointermove: (event) => {
        const box = area.getBoundingClientRect();
        move(nearest((event.clientX - box.left) * (plot.width / box.width)));
      },
      onpointerleave: () => move(null),
      onblur: () => move(null),
      onkeydown: onKey,
    },
    y.ticks.map((tick) => [
      svg("line", { class: "grid", x1: plot.left, x2: plot.width - plot.right, y1: y.at(tick), y2: y.at(tick) }),
      svg("text", { x: plot.left - 6, y: y.at(tick) + 4, "text-anchor": "end" }, tickText(tick))]),
    x.ticks.map((tick) => svg("text", { x: x.at(tick), y: plot.height - 8, "text-anchor": "middle" }, tick)),
    svg("line", { class: "axis", x1: plot.left, x2: plot.width - plot.right, y1: bottom, y2: bottom }),
    shown.map((curve) => curve.mode === "mean"
      ? svg("path", { class: `band f${curve.style % 6}`, d: bandOf(curve, panel.key, x, y) }) : null),
    shown.map((curve) => curveParts(curve, y)), cross);
    const hasTraining = shown.some((curve) => curve.train[panel.key]);
    figure.replaceChildren(el("figcaption", {}, panel.title, betterArrow(panel.better),
      hasTraining ? el("span", { class: "quiet small" }, " thin: in training") : null), area, tip);
  }

  function curveParts(curve, y) {
    const isDim = view.strong() !== null && view.strong() !== curve;
    const style = { "stroke-dasharray": dashesOf(curve.style) };
    const css = `${colorOf(curve.style)}${isDim ? " dim" : ""}`;
    const column = curve.y[panel.key];
    const training = curve.train[panel.key];
    const best = curve.epochs.indexOf(curve.best[0]);
    return [
      training ? svg("path", { class: `curve train ${css}`, d: pathOf(curve.epochs, training, x, y), ...style }) : null,
      svg("path", { class: `curve ${css}`, "data-curve": curve.name, d: pathOf(curve.epochs, column, x, y), ...style }),
      best >= 0 && isNumber(column[best]) ? svg("circle", {
        class: `f${curve.style % 6}${isDim ? " dim" : ""}`, cx: x.at(curve.best[0]), cy: y.at(column[best]),
        r: curve.epochs.length > 1 ? 2.6 : 3.5,
      }) : null,
    ].filter(Boolean);
  }

  /** The epoch, of those that a shown curve has, next to a place. */
  function nearest(place) {
    const epochs = [...new Set(shown.flatMap((curve) => curve.epochs))];
    const distance = (epoch) => Math.abs(x.at(epoch) - place);
    return epochs.reduce((best, epoch) => (distance(epoch) < distance(best) ? epoch : best), epochs[0]);
  }

  function onKey(event) {
    const epochs = [...new Set(shown.flatMap((curve) => curve.epochs))].sort((a, b) => a - b);
    const at = epochs.indexOf(view.epoch());
    const last = epochs.length - 1;
    const to = { ArrowRight: at + 1, ArrowLeft: at < 0 ? last : at - 1, Home: 0, End: last }[event.key];
    if (event.key === "Escape") {
      move(null);
    } else if (to !== undefined) {
      event.preventDefault();
      move(epochs[Math.min(last, Math.max(0, to))]);
    }
  }

  function move(epoch) {
    view.onEpoch(epoch);
    tip.hidden = epoch === null;
    if (epoch !== null) {
      showTip(epoch);
    }
  }

  function showTip(epoch) {
    const rows = shown.map((curve) => ({ curve, i: curve.epochs.indexOf(epoch) }))
      .filter(({ curve, i }) => i >= 0 && isNumber(curve.y[panel.key][i]));
    const hasTraining = shown.some((curve) => curve.train[panel.key]);
    const sign = panel.better === "lower" ? 1 : -1;
    rows.sort((a, b) => sign * (a.curve.y[panel.key][a.i] - b.curve.y[panel.key][b.i]));
    const lines = rows.slice(0, mostShown).map(({ curve, i }) => {
      const deviation = curve.deviation[panel.key]?.[i];
      const training = curve.train[panel.key]?.[i];
      return el("tr", {}, el("td", { class: "text" }, swatch(curve.style), curve.name),
        el("td", { class: "value" }, String(curve.y[panel.key][i]),
          isNumber(deviation) ? el("span", { class: "deviation" }, ` \u00b1 ${deviation}`) : null),
        hasTraining ? el("td", { class: "quiet" }, isNumber(training) ? String(training) : "") : null);
    });
    tip.replaceChildren(el("table", {},
      el("thead", {}, el("tr", {}, el("th", { class: "text" }, `Epoch ${epoch}`), el("th"),
        hasTraining ? el("th", {}, "in training") : null)),
      el("tbody", {}, lines)),
      rows.length > mostShown ? el("div", { class: "quiet" }, `and ${rows.length - mostShown} more`) : "");
  }

  return {
    figure,
    panel,
    draw,
    /** The line at an epoch, which all panels have at once. */
    mark(epoch) {
      if (cross !== null && x !== null) {
        cross.style.visibility = epoch === null ? "hidden" : "visible";
        if (epoch !== null) {
          cross.setAttribute("x1", x.at(epoch));
          cross.setAttribute("x2", x.at(epoch));
        }
      }
    },
  };
}

/** The section of curves. \c chosen: () => {data, protocol, mode}, what the page's tables show. */
function makeCurves(chosen) {
  const state = kept.get("curves", { off: null, isLog: false });
  let epochShown = null;
  let strong = null;
  const candidates = () => data.curves.curves.filter((curve) => (curve.mode === "both" || curve.mode === chosen().mode) &&
    (!chosen().data || curve.data === chosen().data));
  const isOff = (curve) => (state.off === null ? candidates().indexOf(curve) >= mostShown : state.off.includes(curve.name));
  const view = {
    curves: () => candidates().filter((curve) => !isOff(curve)),
    isLog: () => state.isLog,
    epoch: () => epochShown,
    strong: () => strong,
    onEpoch: (epoch) => {
      epochShown = epoch;
      plots.forEach((one) => one.mark(epoch));
    },
  };
  const plots = data.curves.panels.map((panel) => makePlot(panel, view));
  const legend = el("div", { class: "legend", role: "group", "aria-label": "Curves that are shown" });
  const sections = [...new Set(data.curves.panels.map((panel) => panel.section))].map((name) => {
    const own = plots.filter(({ panel }) => panel.section === name);
    const grid = el("div", { class: "plots" }, own.map((one) => one.figure));
    const isOpen = name === "Losses" || name === "Metrics";
    const element = isOpen ? el("div", {}, el("h3", {}, name), grid)
      : el("details", { class: "more" }, el("summary", {}, name), grid);
    return { own, element };
  });

  function drawPlots() {
    for (const { own, element } of sections) {
      own.forEach((one) => {
        one.draw();
        const { protocol } = one.panel;
        one.figure.hidden ||= protocol !== "" && chosen().protocol !== "" && protocol !== chosen().protocol;
      });
      element.hidden = own.every((one) => one.figure.hidden);
    }
  }

  function setOff(names) {
    state.off = names;
    kept.set("curves", state);
    draw();
  }

  function toggle(curve) {
    const off = candidates().filter(isOff).map(({ name }) => name);
    setOff(off.includes(curve.name) ? off.filter((name) => name !== curve.name) : [...off, curve.name]);
    legend.querySelectorAll("button")[candidates().indexOf(curve)].focus();
  }

  function emphasise(curve) {
    strong = curve;
    drawPlots();
  }

  function draw() {
    legend.replaceChildren(...candidates().map((curve) => el("button", {
      type: "button", "aria-pressed": String(!isOff(curve)), onclick: () => toggle(curve),
      onpointerenter: () => (isOff(curve) ? null : emphasise(curve)), onpointerleave: () => emphasise(null),
    }, swatch(curve.style), el("span", {}, curve.name))));
    drawPlots();
  }

  draw();
  const { every } = data.curves;
  const element = section("curves", "Curves",
    el("div", { class: "bar" },
      el("label", {}, el("input", {
        type: "checkbox", checked: state.isLog,
        onchange: (event) => {
          state.isLog = event.target.checked;
          kept.set("curves", state);
          drawPlots();
        },
      }), "Logarithmic losses"),
      el("span", {}, el("button", { type: "button", onclick: () => setOff([]) }, "All on"), " ",
        el("button", { type: "button", onclick: () => setOff(candidates().map(({ name }) => name)) }, "All off"))),
    legend, sections.map(({ element }) => element),
    el("p", { class: "caption" },
      "A dot marks the epoch of the lowest validation loss, a band one standard deviation over seeds.",
      every > 1 ? ` Shown are the epochs that ${every} divides, the first, the last and the best one.` : ""));
  return { section: element, draw };
}
