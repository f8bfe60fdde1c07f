/** What is shown, as files. */

import { colour, el } from "./dom.js";

/** Rows as CSV by RFC 4180; columns are {title, value: row => text or number}. */
export function csv(columns, rows) {
  const lines = [columns.map((column) => column.title), ...rows.map((row) => columns.map((column) => column.value(row)))];
  return lines.map((line) => line.map(cell).join(",") + "\r\n").join("");
}

function cell(value) {
  const text = value === null || value === undefined ? "" : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Give the browser a file to keep. */
export function save(name, parts, type) {
  const url = URL.createObjectURL(new Blob(parts, { type }));
  el("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** Keep a drawing as PNG, with a title above it and on the colour of the page. */
export async function savePng(name, title, drawing) {
  const scale = devicePixelRatio;
  const room = 48 * scale;
  const canvas = el("canvas", { width: drawing.width + room / 2, height: drawing.height + room });
  const brush = canvas.getContext("2d");
  brush.fillStyle = colour("surface");
  brush.fillRect(0, 0, canvas.width, canvas.height);
  brush.fillStyle = colour("ink");
  brush.font = `600 ${15 * scale}px system-ui, sans-serif`;
  brush.fillText(title, 16 * scale, 28 * scale, canvas.width - 32 * scale);
  brush.drawImage(drawing, 0, room * 0.9);
  const png = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
  save(name, [png], "image/png");
}
