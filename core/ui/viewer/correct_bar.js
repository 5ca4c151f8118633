// The second row of the toolbar, while masks are corrected. Everything here has a key as well.

const CORRECT_KEYS = [
  ["C, Esc", "begin and end correcting"],
  ["B E L G", "brush, eraser, outline, whole part"],
  ["Alt + draw", "erase with brush or outline"],
  ["[ ], Ctrl + wheel", "size of the brush"],
  ["X", "lung or infection"],
  ["H", "through neighbouring slices, or on this one"],
  ["T", "mark only values between two HU"],
  ["U", "mark infection outside the lung too"],
  ["J", "interpolate between two drawn slices"],
  ["V, Shift + V", "copy from the previous or next slice"],
  ["Ctrl + Z, Ctrl + Shift + Z", "undo, redo"],
  ["Backspace, Shift + Backspace", "back to the network's mask: this slice, all"],
  ["Shift + arrows, Enter", "move the crosshair, draw there"],
  ["Shift + drag, two fingers", "move the picture"],
];

class CorrectBar {
  constructor(view) {
    this.view = view;
    this.bar = element("div", {
      role: "toolbar", class: "toolbar correct", "aria-label": "Correct masks by hand",
    });
    this.bar.hidden = true;
  }

  // Once the page has said what can be corrected.
  build() {
    const { view } = this;
    const { sizes, limits } = view.header.scans[0].correction;
    this.channels = Object.fromEntries(["infection", "lung"].map((channel) => [
      channel, choiceButton(NAMES[channel], `Correct the ${channel} (X)`,
        () => view.setPen({ channel })),
    ]));
    this.tools = Object.fromEntries(Object.entries(TOOLS).map(([tool, { text, key, does }]) => [
      tool, choiceButton(text, `${text}: ${does} (${key})`, () => view.setPen({ tool })),
    ]));
    this.size = element("input", {
      type: "range", min: sizes.low, max: sizes.high, step: sizes.step, class: "opacity",
      label: "Diameter of brush and eraser ([ and ])",
    });
    this.size.addEventListener("input", () => view.setPen({ size: Number(this.size.value) }));
    this.sized = element("span", { class: "sized" });
    this.deep = choiceButton("Through slices",
      "Brush as a ball, and parts through all slices (H)", () => view.setPen({ deep: !view.pen.deep }));
    this.only = choiceButton("Only", "Mark only values between two HU (T)",
      () => view.setPen({ only: !view.pen.only }));
    this.hu = ["low", "high"].map((end) => {
      const field = element("input", {
        type: "number", class: "hu", min: limits.low, max: limits.high, step: limits.step,
        label: end === "low" ? "Lowest HU that is marked" : "Highest HU that is marked",
      });
      field.addEventListener("change", () => this.setHu(end, field));
      return field;
    });
    this.inside = choiceButton("Inside the lung",
      "Infection is marked inside the lung only (U)", () => view.setPen({ free: !view.pen.free }));
    this.undo = iconButton("undo", "Undo (Ctrl + Z)", () => view.ask({ edit: "undo" }));
    this.redo = iconButton("redo", "Redo (Ctrl + Shift + Z)", () => view.ask({ edit: "redo" }));
    const act = (text, label, does) => {
      const button = element("button", { type: "button", text, label });
      button.addEventListener("click", does);
      return button;
    };
    this.backs = [
      act("This slice", "Back to the network's mask in this slice (Backspace)",
        () => view.askHere({ edit: "back" })),
      act("All slices", "Back to the network's mask in all slices (Shift + Backspace)",
        () => view.ask({ edit: "back" })),
    ];
    this.backWord = element("span", { class: "sized" });
    this.bar.append(
      group("Mask", ...Object.values(this.channels)),
      group("Tool", ...Object.values(this.tools)),
      group("Size", this.size, this.sized, this.deep),
      group("Steps", this.undo, this.redo),
      group("Values", this.only, this.hu[0], element("span", { class: "sized", text: "to" }),
        this.hu[1], element("span", { class: "sized", text: "HU" })),
      group("Limit", this.inside),
      group("Between slices",
        act("Interpolate", "Interpolate between two drawn slices (J)",
          () => view.askHere({ edit: "interpolate" })),
        act("Copy previous", "Copy from the previous slice (V)",
          () => view.askHere({ edit: "copy", step: -1 })),
        act("Copy next", "Copy from the next slice (Shift + V)",
          () => view.askHere({ edit: "copy", step: 1 }))),
      group("Back to the network's mask", this.backWord, ...this.backs),
    );
  }

  // The other end gives way, so that there is always a value between both.
  setHu(end, field) {
    const { pen } = this.view;
    const value = Math.min(Math.max(Number(field.value), Number(field.min)), Number(field.max));
    if (!Number.isFinite(value)) return;
    const other = end === "low" ? { high: Math.max(pen.high, value) }
      : { low: Math.min(pen.low, value) };
    this.view.setPen({ [end]: value, ...other, only: true });
  }

  update() {
    const { view } = this;
    if (!view.correcting && this.bar.hidden) return;
    this.bar.hidden = !view.correcting;
    if (!view.correcting) return;
    if (!this.channels) this.build();
    const { pen, edits } = view;
    const press = (button, on) => button.setAttribute("aria-pressed", String(on));
    for (const [name, button] of Object.entries(this.channels)) press(button, name === pen.channel);
    for (const [name, button] of Object.entries(this.tools)) press(button, name === pen.tool);
    this.size.value = String(pen.size);
    this.sized.textContent = view.sizeText(pen.size);
    press(this.deep, pen.deep);
    press(this.only, pen.only);
    const focused = this.bar.getRootNode().activeElement;
    ["low", "high"].forEach((end, at) => {
      if (focused !== this.hu[at]) this.hu[at].value = String(pen[end]);
    });
    press(this.inside, !pen.free);
    const disable = (button, off) => {
      if (button.disabled !== off) button.disabled = off;
    };
    const coming = edits.queue.length > 0 || edits.open.length > 0;
    disable(this.undo, edits.undoable === 0 && !coming);
    disable(this.redo, edits.redoable === 0 || coming);
    const { network } = view.header.scans[0].correction;
    this.backWord.textContent = network ? "Back to network:" : "Clear:";
  }
}
