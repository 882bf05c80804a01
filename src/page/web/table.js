// Tables that sort and filter. Their numbers are shown as they come.

/** What stands in a cell; the deviation stands back. */
function cellParts(text) {
  const [value, deviation] = text.split(" +- ");
  return [el("span", { class: "value" }, ...withCode(value)),
    deviation === undefined ? null : el("span", { class: "deviation" }, ` \u00b1 ${deviation}`)];
}

/** A text as people write it: \u00b1, and `code` in its own type. */
function withCode(text) {
  return text.replaceAll("+-", "\u00b1").split("`").map((part, i) => (i % 2 === 1 ? el("code", {}, part) : part));
}

/** Whether a row passes the filter: each word in its text, or a comparison of a column, as mIoU>30. */
function passes(table, row, filter) {
  const text = row.cells.map((cell) => cell.t).join(" ").toLowerCase();
  return filter.toLowerCase().split(/\s+/).filter(Boolean).every((word) => {
    const [, name, sign, limit] = word.match(/^([^<>=]+)(<=|>=|<|>|=)(-?[\d.]+)$/) ?? [];
    const column = name === undefined ? -1
      : table.columns.findIndex((of) => of.key.toLowerCase() === name || of.header.toLowerCase().split(" (")[0] === name);
    if (column < 0) {
      return text.includes(word);
    }
    const value = row.cells[column].v;
    const to = Number(limit);
    return value !== undefined && value !== null &&
      { "<": value < to, "<=": value <= to, ">": value > to, ">=": value >= to, "=": value === to }[sign];
  });
}

/** Rows in the order of a column; those without a value last, equals as they were. */
function sorted(table, rows, column, isReversed) {
  const { text, better } = table.columns[column];
  const value = (row) => (text || row.cells[column].v === undefined ? null : row.cells[column].v);
  const sign = (better === "higher") === isReversed ? 1 : -1;
  return [...rows].sort((a, b) => {
    const [x, y] = [value(a), value(b)];
    if (x === null && y === null) {
      const order = a.cells[column].t.localeCompare(b.cells[column].t, "en", { numeric: true });
      return isReversed ? -order : order;
    }
    return x === null ? 1 : y === null ? -1 : (x - y) * sign;
  });
}

/**
 * A table with its filter, notes and caption.
 * @param table      of the page's data
 * @param name       under which the reader's choices are kept
 * @param caption    said to those who do not see the heading above it
 * @param showRuns   called with the runs of a row whose first cell was pressed
 */
function makeTable(table, { name, caption, showRuns }) {
  const state = kept.get(name, { column: null, reversed: false, filter: "", hidden: [] });
  const prefix = newId("note");
  const body = el("tbody");
  const head = el("thead");
  const count = el("span", { class: "quiet small", role: "status" });
  const tasks = [...new Set(table.columns.map((column) => column.task).filter(Boolean))];
  const keep = () => {
    kept.set(name, state);
    draw();
  };

  function shownColumns() {
    return table.columns.map((column, i) => i).filter((i) => !state.hidden.includes(table.columns[i].task));
  }

  function sortBy(i) {
    const isSame = state.column === i;
    state.column = isSame && state.reversed ? null : i;
    state.reversed = isSame && !state.reversed;
    keep();
    head.querySelector(`[data-column="${i}"] button`).focus();
  }

  function headOf(i) {
    const column = table.columns[i];
    const isSorted = state.column === i;
    const isDescending = isSorted && (column.better === "higher") !== state.reversed;
    return el("th", {
      scope: "col", class: column.text ? "text" : null, "data-column": i,
      "aria-sort": isSorted ? (isDescending ? "descending" : "ascending") : "none",
    }, el("button", { type: "button", onclick: () => sortBy(i) }, column.header, betterArrow(column.better),
      isSorted ? el("span", { class: "sorted", "aria-hidden": "true" }, isDescending ? "\u25be" : "\u25b4") : null));
  }

  function tasksRow(columns) {
    const spans = [];
    for (const i of columns) {
      const task = table.columns[i].task ?? "";
      if (spans.at(-1)?.task === task) {
        spans.at(-1).count += 1;
      } else {
        spans.push({ task, count: 1 });
      }
    }
    return el("tr", { class: "tasks" }, spans.map(({ task, count: colspan }) =>
      task === "" ? el("td", { colspan }) : el("th", { colspan, scope: "colgroup", class: "of" }, task)));
  }

  function cellOf(row, i, isFirst) {
    const cell = row.cells[i];
    const column = table.columns[i];
    const notes = (cell.notes ?? []).map((note) =>
      el("sup", {}, el("a", { href: `#${prefix}-${note}`, "aria-label": `note ${note + 1}` }, `${note + 1}`)));
    let content = cellParts(cell.t);
    if (cell.state) {
      content = [el("span", { class: `state-dot state-${cell.t}`, "aria-hidden": "true" }), ...content];
    } else if (cell.share !== undefined) {
      content = [el("progress", { value: cell.share, max: 1, "aria-label": `epochs of ${row.cells[0].t}` }), ...content];
    }
    if (isFirst && row.runs?.length > 0 && showRuns) {
      content = el("button", {
        type: "button", class: "run-link", title: "Config and provenance", onclick: () => showRuns(row.runs),
      }, row.style === undefined ? null : swatch(row.style), ...content);
    }
    return el(isFirst ? "th" : "td", {
      scope: isFirst ? "row" : null,
      class: [column.text && "text", cell.best && "best", cell.lead && "lead"].filter(Boolean).join(" ") || null,
    }, content, notes);
  }

  function draw() {
    const columns = shownColumns();
    let rows = table.rows.filter((row) => passes(table, row, state.filter));
    if (state.column !== null) {
      rows = sorted(table, rows, state.column, state.reversed);
    }
    head.replaceChildren(...(tasks.length > 0 ? [tasksRow(columns)] : []), el("tr", {}, columns.map(headOf)));
    body.replaceChildren(...rows.map((row) => el("tr", { class: row.block && state.column === null ? "block" : null },
      columns.map((i, at) => cellOf(row, i, at === 0)))));
    count.textContent = rows.length === table.rows.length ? "" : `${rows.length} of ${table.rows.length} rows`;
  }

  const filter = table.rows.length < 2 ? null : el("label", {}, el("input", {
    type: "search", placeholder: "Filter rows: words, mIoU>30", "aria-label": "Filter rows", value: state.filter,
    oninput: (event) => {
      state.filter = event.target.value;
      keep();
    },
  }));
  const taskBoxes = tasks.length < 2 ? null : el("fieldset", {}, el("legend", {}, "Columns"), tasks.map((task) =>
    el("label", {}, el("input", {
      type: "checkbox", checked: !state.hidden.includes(task),
      onchange: (event) => {
        state.hidden = state.hidden.filter((of) => of !== task).concat(event.target.checked ? [] : [task]);
        keep();
      },
    }), task)));
  draw();
  const hasLead = table.rows.some((row) => row.cells.some((cell) => cell.lead));
  const marks = hasLead ? "Underlined: the best number of a column in which none is bold." : "";
  return el("div", { class: "sheet" },
    el("div", { class: "bar" }, filter, taskBoxes, count),
    el("div", { class: "table", role: "region", tabindex: 0, "aria-label": caption },
      el("table", { "aria-label": caption }, head, body)),
    table.footnotes?.length > 0 ? el("ol", { class: "notes" },
      table.footnotes.map((note, i) => el("li", { id: `${prefix}-${i}` }, ...withCode(`${note}.`)))) : null,
    table.remarks?.length > 0 ? el("ul", { class: "plain caption" },
      table.remarks.map((remark) => el("li", {}, ...withCode(`${remark}.`)))) : null,
    table.caption || marks ? el("p", { class: "caption" }, ...withCode(`${table.caption ?? ""} ${marks}`)) : null);
}
