/** Elements, without markup in texts. */

/** An element; attributes that are null or false are left out, functions are listeners. */
export function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(key, value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== null && value !== undefined && value !== false) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/** The element of the page with an id. */
export function at(id) {
  return document.getElementById(id);
}

/** Put these in the place of all that an element holds. */
export function fill(element, ...children) {
  element.replaceChildren(...children.filter((child) => child !== null && child !== undefined));
}

/** The choices of a list, [[value, text]]; a list that is as it should be is left alone, for it may be open. */
export function offer(id, choices, chosen) {
  const list = at(id);
  const said = JSON.stringify(choices);
  if (list.dataset.said !== said) {
    fill(list, ...choices.map(([value, text]) => el("option", { value }, text)));
    list.dataset.said = said;
  }
  list.value = chosen;
}

/** What a colour of the style sheet is in the colours that are shown now; a canvas knows no variables. */
export function colour(name) {
  const probe = at("probe");
  probe.style.color = `var(--${name})`;
  return getComputedStyle(probe).color;
}

/** A table: columns are {title, number, cell: row => text or element}. */
export function table(caption, columns, rows) {
  const kind = (column) => (column.number ? "number" : null);
  const head = columns.map((column) => el("th", { scope: "col", class: kind(column) }, column.title));
  const body = rows.map((row) =>
    el("tr", {}, ...columns.map((column) => el("td", { class: kind(column) }, column.cell(row)))),
  );
  return el(
    "table",
    {},
    el("caption", {}, caption),
    el("thead", {}, el("tr", {}, ...head)),
    el("tbody", {}, ...body),
  );
}
