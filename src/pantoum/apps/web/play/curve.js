// The loss as a line: of many steps, the mean of those that share a place.

const [HEIGHT, LEFT, MARGIN, TOP, BOTTOM] = [220, 46, 12, 10, 190];
const PLACES = 300;
const LINES = 4;
const SVG = "http://www.w3.org/2000/svg";

/**
 * @param {SVGSVGElement} picture
 * @param {[number, number][]} points step and loss
 * @param {number} steps
 */
export function drawCurve(picture, points, steps) {
  const each = Math.ceil(points.length / PLACES);
  /** @type {[number, number][]} */
  const means = [];
  for (let at = 0; at < points.length; at += each) {
    const part = points.slice(at, at + each);
    means.push([part[part.length - 1][0], part.reduce((sum, [, loss]) => sum + loss, 0) / part.length]);
  }
  const losses = means.map(([, loss]) => loss);
  const [low, high] = [Math.min(...losses), Math.max(...losses)];
  const room = Math.max(high - low, 0.1);
  // As wide as it is shown, so that its letters have their size on a phone, too.
  const width = Math.max(240, picture.clientWidth);
  const right = width - MARGIN;
  picture.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
  const x = (/** @type {number} */ step) => LEFT + ((right - LEFT) * step) / steps;
  const y = (/** @type {number} */ loss) => BOTTOM - ((BOTTOM - TOP) * (loss - low)) / room;
  const made = [];
  for (let line = 0; line <= LINES; ++line) {
    const loss = low + (room * line) / LINES;
    made.push(element("line", { class: "grid", x1: LEFT, x2: right, y1: y(loss), y2: y(loss) }));
    made.push(element("text", { x: LEFT - 6, y: y(loss) + 4, "text-anchor": "end" }, loss.toFixed(2)));
  }
  made.push(element("text", { x: LEFT, y: BOTTOM + 20 }, "step 0"));
  made.push(element("text", { x: right, y: BOTTOM + 20, "text-anchor": "end" }, String(steps)));
  made.push(element("polyline", { points: means.map(([step, loss]) => `${x(step)},${y(loss)}`).join(" ") }));
  const title = /** @type {Element} */ (picture.querySelector("title"));
  picture.replaceChildren(title, ...made);
}

/**
 * @param {string} name
 * @param {Record<string, string | number>} attributes
 * @param {string} [text]
 */
function element(name, attributes, text = "") {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  made.textContent = text;
  return made;
}
