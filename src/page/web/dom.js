// What all parts of the page share: its data, elements, and what is kept when it loads itself again.
const data = JSON.parse(document.getElementById("data").textContent);

/** An element. Names of attributes that begin with "on" are events; children are elements, texts or nothing. */
function el(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** An element of SVG. */
function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) {
      element.addEventListener(name.slice(2), value);
    } else if (value === true) {
      element.setAttribute(name, "");
    } else if (value !== false && value !== undefined && value !== null) {
      element.setAttribute(name, value);
    }
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== ""));
  return element;
}

/** What a reader chose: kept for this page while its tab is open, where the browser allows it. */
const kept = {
  key: `xtasc ${location.pathname}`,
  values: {},
  load() {
    try {
      this.values = JSON.parse(sessionStorage.getItem(this.key)) ?? {};
    } catch {
      this.values = {};
    }
  },
  get(name, otherwise) {
    return this.values[name] ?? otherwise;
  },
  set(name, value) {
    this.values[name] = value;
    try {
      sessionStorage.setItem(this.key, JSON.stringify(this.values));
    } catch {
      // The page works without, and forgets when it loads again.
    }
  },
};
kept.load();

/** A part of the page under a head of its own, to which the bar on top leads. */
function section(id, title, ...children) {
  return el("section", { id, "aria-labelledby": `${id}-head` }, el("h2", { id: `${id}-head` }, title), children);
}

let numIds = 0;
/** An id that no other element has. */
function newId(name) {
  return `${name}-${++numIds}`;
}

/** One of a few values, as radio buttons side by side; null where there is no choice. */
function choice(label, options, value, onChange) {
  if (options.length < 2) {
    return null;
  }
  const name = newId("choice");
  return el("fieldset", { class: "choice" }, el("legend", {}, label),
    el("span", { class: "options" }, options.map(([word, text]) =>
      el("label", {},
        el("input", { type: "radio", name, value: word, checked: word === value, onchange: () => onChange(word) }), text))));
}

/** The line that a curve of this style has. */
function swatch(style) {
  return svg("svg", { class: "swatch", viewBox: "0 0 22 10", "aria-hidden": "true" },
    svg("line", {
      x1: 0, x2: 22, y1: 5, y2: 5, "stroke-width": 2.5, class: colorOf(style), "stroke-dasharray": dashesOf(style),
    }));
}

// Six colours, each with four lines of its own.
function colorOf(style) {
  return `s${style % 6}`;
}
function dashesOf(style) {
  return ["none", "7 3", "2 3", "9 3 2 3"][Math.floor(style / 6) % 4];
}

/** The arrow of the better direction, and what it means for those who do not see it. */
function betterArrow(better) {
  const label = `${better} is better`;
  return better ? el("span", { class: "arrow", title: label, role: "img", "aria-label": label },
    better === "higher" ? " \u2191" : " \u2193") : null;
}
