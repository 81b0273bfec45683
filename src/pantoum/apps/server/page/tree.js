// The forks as a tree of buttons, each branch with its state to download.

const element = (name, properties, ...children) => {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
};

const words = (branch) => {
  const own = branch.text.slice(branch.at, branch.at + 600).trim().slice(0, 60).replace(/\s+/g, " ");
  return own || (branch.at ? `forked after “${branch.text.slice(Math.max(0, branch.at - 300), branch.at).slice(-30).trim().replace(/\s+/g, " ")}”` : "(empty)");
};
const size = (state) => `${((state.value.length * 3) / 4 / 1024).toFixed(1)} KB`;

// `act`: {open, download, remove}, each called with a branch.
export function draw(place, branches, act) {
  const list = (parent) => {
    const found = branches.children(parent);
    return found.length ? [element("ul", {}, ...found.map(item))] : [];
  };
  const item = (branch) => {
    const open = element("button", { type: "button", className: "open", textContent: words(branch), title: branch.text.slice(0, 300) });
    if (branch.id === branches.current.id) open.setAttribute("aria-current", "true");
    open.addEventListener("click", () => act.open(branch));
    const facts = `${branch.text.length.toLocaleString("en")} characters` + (branch.base ? " after a loaded state" : "");
    const more = element("div", { className: "more note" }, element("span", {}, facts));
    const name = words(branch);
    if (branch.text) {
      const save = element("button", { type: "button", textContent: "download the state" + (branch.state ? `, ${size(branch.state)}` : "") });
      save.setAttribute("aria-label", `${save.textContent}, of ${name}`);
      save.addEventListener("click", () => act.download(branch));
      more.append(save);
    }
    const remove = element("button", { type: "button", textContent: "delete" });
    remove.setAttribute("aria-label", `delete ${name}`);
    remove.addEventListener("click", () => act.remove(branch));
    more.append(remove);
    return element("li", {}, element("div", {}, open, more), ...list(branch.id));
  };
  place.replaceChildren(...list(null));
}
