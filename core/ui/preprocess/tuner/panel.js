// The settings of the tuner: presets, method, sliders, and how histograms are counted.

const LOG_STEPS = 400;

class Slider {
  constructor(tuner, name, { label, help, low, high, step, logarithmic = false }) {
    Object.assign(this, { tuner, name, low, high, step, logarithmic });
    const [least, most, by] = logarithmic ? [0, LOG_STEPS, 1] : [low, high, step];
    this.range = element("input", { type: "range", min: least, max: most, step: by, label });
    this.number = element("input", {
      type: "number", min: low, max: high, step, label: `${label}, as a number`,
    });
    const text = element("span", { class: "label", text: label, title: help });
    this.box = element("label", { class: "setting" }, text, this.number, this.range);
    this.range.addEventListener("input", () => tuner.set({ [name]: this.fromRange() }));
    this.range.addEventListener("change", () => tuner.report());
    this.number.addEventListener("change", () => {
      const value = Number(this.number.value);
      if (!Number.isFinite(value) || this.number.value === "") return this.show();
      tuner.set({ [name]: Math.min(Math.max(value, low), high) });
      tuner.report();
      return undefined;
    });
  }

  // Most of what is used lies at the low end.
  fromRange() {
    const at = Number(this.range.value);
    if (!this.logarithmic) return at;
    const value = this.low * (this.high / this.low) ** (at / LOG_STEPS);
    return Number((Math.round(value / this.step) * this.step).toFixed(3));
  }

  show() {
    const value = this.tuner.settings[this.name];
    const { low, high } = this;
    this.range.value = this.logarithmic
      ? Math.round((LOG_STEPS * Math.log(value / low)) / Math.log(high / low)) : value;
    if (document.activeElement !== this.number) this.number.value = value;
    this.number.value = value;
  }
}

class Panel {
  constructor(tuner, { methods, sliders, used }) {
    this.tuner = tuner;
    this.used = used;
    this.presets = group("Presets");
    this.presets.hidden = false;
    this.methods = Object.fromEntries(Object.entries(methods).map(([name, text]) => [
      name, choiceButton(text, text, () => tuner.choose({ method: name })),
    ]));
    this.sliders = Object.fromEntries(Object.entries(sliders).map(
      ([name, about]) => [name, new Slider(tuner, name, about)]));
    this.window = element("select", { label: "Window" });
    this.window.addEventListener("change", () => {
      const chosen = tuner.header.windows[this.window.value];
      if (chosen) tuner.choose({ window_center: chosen.center, window_width: chosen.width });
    });
    this.toggles = ["lung", "logarithmic", "cumulative"].map((name, at) => {
      const text = ["Lung only", "Log counts", "Cumulative"][at];
      const button = choiceButton(text, text, () => tuner.look({ [name]: !tuner.shown[name] }));
      return [name, button];
    });
    this.box = element("div", { class: "panel" },
      this.presets,
      group("Method", ...Object.values(this.methods)),
      element("div", { class: "settings" }, ...Object.values(this.sliders).map(({ box }) => box)),
      element("div", { class: "row" }, group("Counted", ...this.toggles.map(([, button]) => button))));
    this.windowRow = element("label", { class: "setting" },
      element("span", { class: "label", text: "Window" }), this.window);
    this.box.querySelector(".settings").append(this.windowRow);
  }

  show() {
    const { tuner } = this;
    const { settings, header, shown } = tuner;
    this.fillPresets(header.presets);
    for (const [name, button] of Object.entries(this.methods)) {
      button.setAttribute("aria-pressed", String(settings.method === name));
    }
    for (const [name, slider] of Object.entries(this.sliders)) {
      slider.box.hidden = !name.startsWith("window") && !this.used[settings.method]?.includes(name);
      slider.show();
    }
    const at = header.windows.findIndex(({ center, width }) =>
      center === settings.window_center && width === settings.window_width);
    if (this.filled !== header.windows) {
      this.filled = header.windows;
      this.window.replaceChildren(...header.windows.map(({ name }, number) =>
        element("option", { value: number, text: name })),
      element("option", { value: -1, text: "Custom" }));
    }
    this.window.value = at;
    for (const [name, button] of this.toggles) {
      button.setAttribute("aria-pressed", String(Boolean(shown[name])));
      if (name === "lung") {
        button.disabled = !tuner.mask;
        button.title = tuner.mask ? `Lung: ${header.lung}` : "No lung in this slice";
      }
    }
  }

  fillPresets(presets) {
    if (this.known !== presets) {
      this.known = presets;
      this.buttons = presets.map(({ name, note, settings }) => {
        const button = choiceButton(name, note || name, () => this.tuner.choose(settings));
        return button;
      });
      const reset = choiceButton("Reset", "All settings back to the network's own",
        () => this.tuner.choose(this.tuner.header.defaults));
      reset.removeAttribute("aria-pressed");
      this.presets.replaceChildren(...this.buttons, reset);
    }
    this.buttons.forEach((button, at) => {
      const { settings } = presets[at];
      const used = ["method", ...(this.used[settings.method] ?? [])];
      const active = Object.entries(settings).every(([name, value]) =>
        !(used.includes(name) || name.startsWith("window")) || this.tuner.settings[name] === value);
      button.setAttribute("aria-pressed", String(active));
    });
  }
}
