/** What is a table on the page, drawn on a canvas to be kept. */

import { colour, el } from "./dom.js";
import { number, percent } from "./format.js";

const ROW = 26;
const WIDTH = 900;
const FONT = "14px system-ui, sans-serif";

function canvasOf(width, height) {
  const scale = devicePixelRatio;
  const canvas = el("canvas", { width: width * scale, height: height * scale });
  const brush = canvas.getContext("2d");
  brush.scale(scale, scale);
  brush.font = FONT;
  brush.textBaseline = "middle";
  return { canvas, brush };
}

/** A bar for each of {name, value}. */
export function drawBars(rows) {
  const { canvas, brush } = canvasOf(WIDTH, ROW * rows.length + 16);
  const most = Math.max(1, ...rows.map((row) => row.value ?? 0));
  rows.forEach((row, place) => {
    const middle = 8 + ROW * (place + 0.5);
    brush.fillStyle = colour("bar");
    brush.fillRect(340, middle - 9, (WIDTH - 360) * ((row.value ?? 0) / most), 18);
    brush.fillStyle = colour("ink");
    brush.textAlign = "left";
    brush.fillText(row.name, 16, middle, 210);
    brush.textAlign = "right";
    brush.fillText(number(row.value), 328, middle);
  });
  return canvas;
}

/** A triangle of {name, users, shares}: darker is more. */
export function drawTriangle(rows) {
  const columns = Math.max(...rows.map((row) => row.shares.length));
  const cell = 74;
  const { canvas, brush } = canvasOf(340 + cell * columns, ROW * rows.length + 16);
  rows.forEach((row, place) => {
    const middle = 8 + ROW * (place + 0.5);
    brush.fillStyle = colour("ink");
    brush.textAlign = "left";
    brush.fillText(row.name, 16, middle, 190);
    brush.textAlign = "right";
    brush.fillText(number(row.users), 316, middle);
    row.shares.forEach((share, period) => drawCell(brush, share, 328 + period * cell, middle, cell));
  });
  return canvas;
}

function drawCell(brush, share, left, middle, width) {
  if (share === null) return;
  brush.globalAlpha = 0.08 + 0.47 * share;
  brush.fillStyle = colour("accent");
  brush.fillRect(left, middle - ROW / 2 + 1, width - 2, ROW - 2);
  brush.globalAlpha = 1;
  brush.fillStyle = colour("ink");
  brush.textAlign = "center";
  brush.fillText(percent(share, 0), left + width / 2, middle);
}
