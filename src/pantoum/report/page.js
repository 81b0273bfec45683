// Not needed to read the page: figures at the pointer, and reloading while a run trains.
(() => {
  "use strict";
  const make = (name, attributes, parent) => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const key in attributes) node.setAttribute(key, attributes[key]);
    return parent.appendChild(node);
  };
  for (const svg of document.querySelectorAll("svg.curve[data-readout]")) {
    const lines = Object.entries(JSON.parse(svg.dataset.readout)).filter(([, points]) => points.length);
    if (!lines.length) continue;
    const frame = svg.viewBox.baseVal;
    const unit = svg.querySelector("text.unit");
    const group = make("g", { visibility: "hidden", "aria-hidden": "true" }, svg);
    const rule = make("line", { class: "base", y1: 22, y2: frame.height - 38 }, group);
    const words = make("text", { x: frame.width - 98, y: 13, "text-anchor": "end" }, group);
    const dots = lines.map(([name]) => make("circle", { class: "dot " + name, r: 3.5 }, group));
    const nearest = (points, x) => points.reduce((a, b) => (Math.abs(b[0] - x) < Math.abs(a[0] - x) ? b : a));
    const show = (event) => {
      const box = svg.getBoundingClientRect();
      const x = ((event.clientX - box.left) * frame.width) / box.width;
      const found = lines.map(([name, points]) => [name, nearest(points, x)]);
      const at = found[0][1];
      rule.setAttribute("x1", at[0]);
      rule.setAttribute("x2", at[0]);
      dots.forEach((dot, i) => {
        dot.setAttribute("cx", found[i][1][0]);
        dot.setAttribute("cy", Math.max(found[i][1][1], 22));
      });
      const where = (point) => (point[2] === at[2] ? "" : " at " + point[2]);
      words.textContent = at[2] + ":  " + found.map(([name, p]) => name + " " + p[3] + where(p)).join("  ");
      group.setAttribute("visibility", "visible");
      unit.setAttribute("visibility", "hidden");
    };
    svg.addEventListener("pointermove", show);
    svg.addEventListener("pointerdown", show);
    svg.addEventListener("pointerleave", () => {
      group.setAttribute("visibility", "hidden");
      unit.setAttribute("visibility", "visible");
    });
  }
  const follow = document.querySelector("a.follow");
  if (follow) {
    const on = location.hash === "#follow";
    follow.hidden = false;
    if (on) {
      follow.textContent = "stop reloading";
      follow.href = "#";
      setTimeout(() => location.hash === "#follow" && location.reload(), 10000);
    }
    addEventListener("hashchange", () => location.reload());
  }
})();
