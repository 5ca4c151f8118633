// Toolbar, legend and list of keys. Everything here can also be reached by a key.

const ICONS = {
  previous: "M15 5l-7 7 7 7",
  next: "M9 5l7 7-7 7",
  most: "M12 3v4M12 17v4M3 12h4M17 12h4M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8",
  measure: "M4 16L16 4l4 4L8 20zM8 12l2 2M11 9l2 2M14 6l2 2",
  arrow: "M5 19L19 5M10 5h9v9",
  region: "M4 12a8 5.5 0 1 0 16 0a8 5.5 0 1 0-16 0",
  note: "M5 4h14v11h-8l-4 4v-4H5z",
  bin: "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13M10.5 11v6M13.5 11v6",
  worst: "M12 4l9 16H3zM12 10v4M12 17v1",
  play: "M8 5l11 7-11 7z",
  pause: "M8 5v14M16 5v14",
  closer: "M11 5a6 6 0 1 0 0 12 6 6 0 0 0 0-12M15.5 15.5L20 20M11 8v6M8 11h6",
  wider: "M11 5a6 6 0 1 0 0 12 6 6 0 0 0 0-12M15.5 15.5L20 20M8 11h6",
  aside: "M3 6h8v12H3zM13 6h8v12h-8z",
  split: "M12 3v18M4 7h5v10H4zM15 7h5v10h-5z",
  screen: "M3 5h18v12H3zM9 21h6",
  whole: "M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5",
  copy: "M9 9h11v11H9zM5 15H4V4h11v1",
  undo: "M9 6L4 11l5 5M4 11h10a5 5 0 0 1 0 10h-3",
  redo: "M15 6l5 5-5 5M20 11H10a5 5 0 0 0 0 10h3",
  save: "M12 4v11M7 11l5 5 5-5M5 20h14",
};

const KEYS = [
  ["↑ ↓ ← →, wheel, drag", "step through slices"],
  ["Page up, Page down", "ten slices"],
  ["Home, End", "first and last slice"],
  ["Space", "play and stop"],
  ["A K S L", "axial, coronal, sagittal, linked planes"],
  ["1 2 3 4", "grey scale presets"],
  ["Right drag, [ ] and , .", "grey scale: window width and centre"],
  ["O", "marks: area, outline, agreement, off"],
  ["G", "lobes: off, fissures, colours"],
  ["D", "two masks, one on each side of a divider"],
  ["B", "two pictures side by side instead of a divider"],
  ["I, P, N", "most, previous and next infected slice"],
  ["+ −, Ctrl + wheel, pinch", "zoom"],
  ["Drag while zoomed in, Shift + drag", "move the picture"],
  ["0, double click", "whole picture"],
  ["Click, Shift + arrows", "crosshair, with its value"],
  ["F", "full screen"],
  ["W", "the slice where two masks agree least; again: the next one"],
  ["M, then drag (or Enter twice)", "measure a distance"],
  ["V R T, then drag or click", "arrow, region with its HU, note (where marks are kept)"],
  ["Drag a mark or its ends", "move the mark; click a chosen note to edit its text"],
  ["Q, then Shift + arrows", "choose a mark on this slice, and move it"],
  ["Delete", "delete the chosen mark, or the last one placed on this slice"],
  ["H", "present on full screen: headline, picture and profile; Esc ends it"],
  ["X", "save a figure page with legend and scale bar"],
  ["Ctrl + C, Ctrl + S", "copy or save the picture as PNG"],
  ["C", "correct masks by hand"],
];

function element(kind, { text, label, ...attributes } = {}, ...children) {
  const made = document.createElement(kind);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  if (label) {
    made.setAttribute("aria-label", label);
    made.title = label;
  }
  made.append(...children);
  return made;
}

function icon(name) {
  const space = "http://www.w3.org/2000/svg";
  const drawing = document.createElementNS(space, "svg");
  drawing.setAttribute("viewBox", "0 0 24 24");
  drawing.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(space, "path");
  path.setAttribute("d", ICONS[name]);
  drawing.append(path);
  return drawing;
}

function iconButton(name, label, act) {
  const button = element("button", { type: "button", label, class: "icon" }, icon(name));
  button.addEventListener("click", act);
  return button;
}

function choiceButton(text, label, act) {
  const button = element("button", { type: "button", text, label, "aria-pressed": "false" });
  button.addEventListener("click", act);
  return button;
}

function group(label, ...children) {
  const made = element("div", { role: "group", class: "group", "aria-label": label }, ...children);
  made.hidden = children.length === 0;
  return made;
}

class Controls {
  constructor(view) {
    this.view = view;
    this.bar = element("div", { role: "toolbar", class: "toolbar", "aria-label": "Picture" });
    this.legend = element("div", { class: "legend", role: "group", "aria-label": "Marked" });
    this.help = this.buildHelp();
    this.build();
  }

  build() {
    const { view } = this;
    this.planes = Object.fromEntries(["axial", "coronal", "sagittal", "linked"].map((name, at) => {
      const text = name[0].toUpperCase() + name.slice(1);
      const label = name === "linked" ? "All three planes with a crosshair (L)"
        : `${text} plane (${"AKS"[at]})`;
      return [name, choiceButton(text, label, () => view.choosePlane(name))];
    }));
    this.presets = view.header.presets?.map((preset, at) => choiceButton(
      preset.name,
      `${preset.name}: ${preset.center} ± ${preset.width / 2} HU (${at + 1})`,
      () => view.setWindow(preset.center, preset.width, true),
    )) ?? [];
    this.styles = Object.fromEntries(Object.keys(STYLES).map((name) => [
      name, choiceButton(STYLES[name], `Marks: ${STYLES[name].toLowerCase()} (O)`,
        () => view.setLook({ style: name })),
    ]));
    this.opacity = element("input", {
      type: "range", min: "5", max: "100", step: "5", class: "opacity",
      label: "How much marked areas cover the picture",
    });
    this.opacity.addEventListener("input",
      () => view.setLook({ opacity: Number(this.opacity.value) / 100 }));
    this.buildSteps();
    this.placing = Object.fromEntries(Object.entries(PLACED).map(([kind, { icon: drawn, text, label }]) =>
      [kind, menuButton(drawn, text, label, () => view.toggleMeasuring(kind))]));
    this.remove = menuButton(
      "bin", "Delete mark", "Delete the chosen mark (Delete)", () => view.removeMeasure());
    this.solid = choiceButton("3D", "Lung and infection as surfaces", () => view.tellSolid());
    this.planeGroup = group("Planes", ...Object.values(this.planes), this.solid);
    this.planeGroup.classList.add("planes");
    this.windowGroup = group("Grey scale", ...this.presets);
    this.windowGroup.classList.add("windows");
    this.split = iconButton(
      "split", "Two masks, one on each side of a divider (D)", () => view.toggleSplit());
    this.aside = iconButton(
      "aside", "Side by side instead of a divider (B)", () => view.toggleAside());
    this.pair = element("select", { label: "Masks to compare" });
    this.pair.addEventListener("change", () => view.choosePair(this.pair.value));
    this.styleGroup = group("Marks", ...Object.values(this.styles), this.opacity, this.pair);
    this.styleGroup.classList.add("marks");
    this.twoGroup = group("Two pictures", this.split, this.aside);
    this.twoGroup.classList.add("two");
    this.correct = choiceButton(
      "Correct", "Correct masks by hand (C)", () => view.toggleCorrecting());
    this.present = choiceButton(
      "Present", "Full screen with headline, picture and profile only (H)",
      () => view.togglePresent());
    this.lobes = new LobeControls(view);
    this.menu = this.buildMenu();
    this.moreGroup = group("Correct and more", this.correct, this.menu.button);
    this.moreGroup.classList.add("more");
    this.showGroup = group("Presentation", this.present);
    this.showGroup.classList.add("room");
    // Groups that come and go with masks stand last, so that the others stay where they are.
    this.bar.append(this.planeGroup, this.windowGroup, this.showGroup, this.moreGroup,
      this.styleGroup, this.twoGroup, this.menu.panel);
  }

  // What moves through the slices stands below them, beside the value under the pointer.
  buildSteps() {
    const { view } = this;
    this.play = iconButton("play", "Play through slices (Space)", () => view.toggleCine());
    this.jumps = [
      iconButton("previous", "Previous infected slice (P)", () => view.jump("previous")),
      iconButton("most", "Most infected slice (I)", () => view.jump("most")),
      iconButton("next", "Next infected slice (N)", () => view.jump("next")),
    ];
    this.worst = iconButton(
      "worst", "Slice where two masks agree least (W)", () => view.jumpToWorst());
    const question = choiceButton("?", "Keys and mouse (?)", () => this.toggleHelp());
    question.className = "icon";
    this.jumpGroup = group("Infected slices", ...this.jumps, this.worst);
    this.toolGroup = group("Slices", this.play);
    this.ends = group("Screen and keys",
      iconButton("screen", "Full screen (F)", () => view.toggleFullscreen()), question);
  }

  buildMenu() {
    const { view } = this;
    const zoom = [
      ["closer", "Larger", "Larger (+)", "+", () => view.zoomBy(1.25)],
      ["wider", "Smaller", "Smaller (−)", "−", () => view.zoomBy(1 / 1.25)],
      ["whole", "Whole picture", "Whole picture (0)", "0", () => view.resetZoom()],
    ].map(([drawn, text, label, key, act]) => menuRow(menuButton(drawn, text, label, act), key));
    zoom.forEach((row) => row.classList.add("zoom"));
    const figure = choiceButton("Figure",
      "Save a figure page as PNG at twice the size, with legend and scale bar (X)",
      () => view.saveFigure());
    this.light = choiceButton("Light", "Figure pages on a light background",
      () => view.toggleLightFigure());
    this.light.setAttribute("aria-pressed", String(Boolean(shared.lightFigure)));
    const lights = menuRow(element("span", { class: "light" }, this.light));
    const kinds = Object.entries(this.placing);
    return new Menu(view, [
      ["Measure and note", ...kinds.map(([kind, button]) => menuRow(button, PLACED[kind].key)),
        menuRow(this.remove, "Del")],
      ["Zoom", ...zoom],
      ["Lobes", menuRow(this.lobes.group, "G")],
      ["Save", menuRow(menuButton("copy", "Copy picture", "Copy the picture (Ctrl + C)",
        () => view.copyPicture()), "Ctrl C"),
      menuRow(menuButton("save", "Save picture", "Save the picture as PNG (Ctrl + S)",
        () => view.savePicture()), "Ctrl S"),
      menuRow(figure, "X"), lights],
    ]);
  }

  buildHelp() {
    const help = element("div", { class: "help", role: "dialog", "aria-label": "Keys and mouse" });
    const list = this.buildKeys(KEYS);
    this.correctHelp = element("div", {}, this.buildKeys(CORRECT_KEYS),
      element("p", { text: "All other keys work as usual:" }));
    this.correctHelp.hidden = true;
    const close = choiceButton("Close", "Close the list (Esc)", () => this.toggleHelp(false));
    help.append(this.correctHelp, list, close);
    help.hidden = true;
    return help;
  }

  buildKeys(keys) {
    const list = element("dl");
    for (const [key, meaning] of keys) {
      list.append(element("dt", { text: key }), element("dd", { text: meaning }));
    }
    return list;
  }

  toggleHelp(shown = this.help.hidden) {
    const { help, view } = this;
    if (help.hidden === !shown) return;
    help.hidden = !shown;
    if (shown) help.querySelector("button").focus({ preventScroll: true });
    else view.panes[0].canvas.focus();
  }

  update() {
    const { view } = this;
    const { header, look, layout, place } = view;
    this.updateJumps();
    this.lobes.update();
    this.remove.disabled = !view.chosen;
    const now = [
      layout, place.plane, look.windowChange, look.marksChange, Boolean(view.cine),
      view.measuring, view.correcting, view.split, view.aside, ...view.sources.map((source) => source.scan?.headers ?? ""),
    ].join();
    if (now === this.shown && header === this.shownHeader) return;
    this.shown = now;
    this.shownHeader = header;
    const scan = view.sources[0].scan;
    const few = header.tools === "few";
    const layers = scan?.header.labels?.layers ?? [];
    const press = (button, on) => button.setAttribute("aria-pressed", String(on));
    const single = scan?.slices === 1;
    this.planeGroup.hidden = !scan || few || single;
    this.play.hidden = single;
    this.windowGroup.hidden = !scan || few;
    this.styleGroup.hidden = layers.length === 0 || few;
    this.jumpGroup.hidden = single || !layers.some((layer) => layer.channel === "infection");
    this.toolGroup.hidden = !scan || view.grid.count < 2;
    // A small picture keeps the way to correcting alone.
    this.moreGroup.hidden = few && !header.correctElsewhere;
    // While masks are corrected, what has nothing to do with it makes room for the picture.
    this.remove.hidden = few || Boolean(view.correcting);
    this.showGroup.hidden = !scan || few || Boolean(view.correcting);
    this.solid.hidden = !header.solid;
    this.planes.linked.hidden = Boolean(header.comparison);
    this.split.hidden = !view.canSplit || few;
    press(this.split, view.split && view.canSplit);
    this.aside.hidden = view.sources.length < 2;
    press(this.aside, view.aside);
    this.twoGroup.hidden = this.split.hidden && this.aside.hidden;
    for (const [name, button] of Object.entries(this.planes)) {
      press(button, name === (layout === "linked" ? "linked" : place.plane));
    }
    this.presets.forEach((button, at) => {
      const { center, width } = header.presets[at];
      press(button, look.center === center && look.width === width);
    });
    this.styles.agreement.hidden = !comparedPair(layers, look);
    this.updatePairs(layers);
    this.correct.hidden = !view.canCorrect && !header.correctElsewhere;
    this.correct.title = view.canCorrect ? "Correct masks by hand (C)"
      : "Correct masks by hand on View, at this slice (C)";
    this.correct.setAttribute("aria-label", this.correct.title);
    this.correctHelp.hidden = !view.correcting;
    press(this.correct, Boolean(view.correcting));
    for (const [kind, button] of Object.entries(this.placing)) {
      button.hidden = few || Boolean(view.correcting) || (kind !== "distance" && !view.keepsMarks);
      press(button, view.measuring === kind);
    }
    this.menu.update(!scan || few);
    press(this.menu.button, Boolean(view.measuring));
    this.worst.hidden = !comparedPair(layers, look) || few;
    this.styles.agreement.disabled = view.sources.length > 1;
    for (const [name, button] of Object.entries(this.styles)) press(button, name === view.style);
    this.opacity.value = String(Math.round(look.opacity * 100));
    this.opacity.disabled = !["fill", "agreement"].includes(view.style);
    const playing = view.cine ? "pause" : "play";
    if (this.playing !== playing) this.play.replaceChildren(icon(playing));
    this.playing = playing;
    this.updateLegend(drawnLayers(view));
  }

  updatePairs(layers) {
    const { look } = this.view;
    const pairs = pairsOf(layers);
    this.pair.hidden = pairs.length < 2 || (look.style !== "agreement" && !this.view.split);
    const names = pairs.map((pair) => pair.map((source) => SOURCES[source].toLowerCase()));
    this.pair.replaceChildren(...pairs.map((pair, at) => {
      const text = `${names[at][0]} and ${names[at][1]}`;
      return element("option", { value: String(pair), text: text[0].toUpperCase() + text.slice(1) });
    }));
    this.pair.value = String(comparedPair(layers, look) ?? "");
  }

  updateJumps() {
    const { previous, most, next } = this.view.jumps();
    [previous, most, next].forEach((to, at) => {
      const disabled = to === null;
      if (this.jumps[at].disabled !== disabled) this.jumps[at].disabled = disabled;
    });
  }

  // Names of what is marked; each can be hidden and shown.
  updateLegend(layers) {
    const { view } = this;
    const { look } = view;
    const regions = view.sources.flatMap((source) => source.scan
      ? regionsOf(source.header, look, source.masks) : []);
    const focused = this.legend.getRootNode().activeElement?.dataset?.layer;
    if (view.style === "agreement") {
      this.legend.replaceChildren(...regions.map((region) =>
        element("span", { class: "item named" }, swatch(region), region.name)));
      return;
    }
    const sources = sourcesOf(layers);
    this.legend.replaceChildren(...layers.map((layer) => {
      const name = layerName(layer);
      const shown = !look.hidden.has(name) && view.style !== "off";
      const region = {
        colour: layer.colour, pattern: "solid", ...drawnAs(layer, sources, look),
      };
      region.filled &&= view.style === "fill";
      const text = regionName(layer, sources);
      const button = element("button", {
        type: "button", class: "item", "aria-pressed": String(shown), "data-layer": name,
        title: `${shown ? "Hide" : "Show"} ${text.toLowerCase()}`,
      }, swatch(region), text);
      button.addEventListener("click", () => view.toggleLayer(name));
      return button;
    }));
    if (focused) this.legend.querySelector(`[data-layer="${focused}"]`)?.focus();
  }
}

// Of every scan, the masks that its picture draws, each named once.
function drawnLayers(view) {
  const drawn = view.sources.flatMap(({ header, masks = [] }) =>
    (header.labels?.layers ?? []).filter((layer) => masks.includes(layer.source)));
  return [...new Map(drawn.map((layer) => [layerName(layer), layer])).values()];
}

function swatch(region) {
  const made = element("span", { class: "swatch" });
  const line = !region.dashed ? "solid" : region.dash[0] < 2 ? "dotted" : "dashed";
  made.style.border = `2px ${line} ${region.colour}`;
  if (region.filled) {
    const angle = region.pattern === "stripes" ? "45deg" : "-45deg";
    made.style.backgroundImage = region.pattern === "solid"
      ? `linear-gradient(${region.colour}88, ${region.colour}88)`
      : `repeating-linear-gradient(${angle}, ${region.colour} 0 3px, transparent 3px 6px)`;
  }
  return made;
}
