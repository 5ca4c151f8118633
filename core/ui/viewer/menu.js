// What is used less often, in a panel that opens below the toolbar: a button with its name, and the
// key that does the same.

const STAYS_OPEN = ["zoom", "lobes", "light"];

function menuRow(button, key = "") {
  return element("div", { class: "row" }, button, element("kbd", { text: key }));
}

function menuButton(drawn, text, label, act) {
  const button = element("button", { type: "button", label, "aria-pressed": "false" });
  button.append(icon(drawn), element("span", { text }));
  button.addEventListener("click", act);
  return button;
}

class Menu {
  constructor(view, parts) {
    this.view = view;
    this.button = choiceButton("More", "More: measure, zoom, lobes, save", () => this.toggle());
    this.button.setAttribute("aria-expanded", "false");
    this.panel = element("div", { class: "menu", role: "group", "aria-label": "More" },
      ...parts.map(([name, ...rows]) => {
        const heading = element("p", { text: name });
        return element("div", { class: "part", role: "group", "aria-label": name }, heading, ...rows);
      }));
    this.panel.hidden = true;
    this.panel.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (button && !STAYS_OPEN.some((kind) => button.closest(`.${kind}`))) this.toggle(false);
    });
  }

  toggle(shown = this.panel.hidden) {
    if (this.panel.hidden === !shown) return;
    const inside = this.panel.contains(this.panel.getRootNode().activeElement);
    this.panel.hidden = !shown;
    this.button.setAttribute("aria-expanded", String(shown));
    this.closing?.abort();
    if (!shown) {
      if (inside) this.button.focus({ preventScroll: true });
      return;
    }
    this.closing = new AbortController();
    document.addEventListener("pointerdown", (event) => {
      const path = event.composedPath();
      if (!path.includes(this.panel) && !path.includes(this.button)) this.toggle(false);
    }, { signal: this.closing.signal });
  }

  update(hidden) {
    this.button.hidden = hidden;
    if (hidden) this.toggle(false);
    for (const part of this.panel.children) {
      part.hidden = [...part.querySelectorAll("button")].every(
        (button) => button.hidden || button.closest(".group")?.hidden);
    }
  }
}
