// How large the pictures are and where they stand: planes, divider, side by side, whole screen.

const WIDE = 560; // pixels from which linked planes stand side by side
const TALLEST = 900;

Object.assign(View.prototype, {
  buildDivider() {
    const bar = element("div", {
      class: "divider", role: "slider", tabindex: "0", "aria-valuemin": "0",
      "aria-valuemax": "100", label: "Divider between the two pictures",
    });
    bar.addEventListener("pointerdown", (event) => {
      bar.setPointerCapture(event.pointerId);
      event.stopPropagation();
    });
    bar.addEventListener("pointermove", (event) => {
      if (!bar.hasPointerCapture(event.pointerId)) return;
      const place = this.stage.getBoundingClientRect();
      this.moveDivider((event.clientX - place.left) / place.width);
    });
    return bar;
  },

  moveDivider(share) {
    this.divider = Math.min(Math.max(share, 0), 1);
    this.changed();
  },

  toggleAside() {
    this.aside = !this.aside;
    this.changed({ layout: true });
  },

  arrange() {
    this.needsLayout = false;
    const width = (this.presenting ? this.strip.canvas : this.steps).clientWidth; // without padding
    if (!width) return;
    const linked = this.layout === "linked";
    const { plane } = this.place;
    const { sideBySide } = this;
    if (linked) this.setPanes(["axial", "coronal", "sagittal"]);
    else this.setPanes(sideBySide ? [plane, plane] : [plane], sideBySide);
    const share = this.fillsWindow ? this.heightLeft()
      : Math.min(TALLEST, Math.max(240, window.innerHeight * this.header.tallest));
    const height = this.fillsWindow ? share : Math.round(Math.min(width * 0.86, share));
    const wide = width >= WIDE;
    const parts = linked ? `parts linked ${wide ? "wide" : "tall"}` : sideBySide ? "parts" : "";
    this.stage.className = `stage ${parts}`;
    const border = 2;
    const room = width - border;
    if (!linked) {
      const each = Math.floor((room - 2 * (this.panes.length - 1)) / this.panes.length);
      const high = sideBySide && !this.fillsWindow ? Math.min(height, Math.max(240, each)) : height;
      for (const pane of this.panes) pane.resize(each, high);
    } else if (wide) {
      const small = Math.floor(room * 0.38);
      this.panes[0].resize(room - small - 2, height);
      this.panes[1].resize(small, Math.floor((height - 2) / 2));
      this.panes[2].resize(small, height - 2 - Math.floor((height - 2) / 2));
    } else {
      const half = Math.floor((room - 2) / 2);
      this.panes[0].resize(room, Math.round(Math.min(room * 0.8, share)));
      this.panes[1].resize(half, Math.round(half * 0.8));
      this.panes[2].resize(room - 2 - half, Math.round(half * 0.8));
    }
    for (const pane of this.panes) pane.keepInSight();
  },

  // What toolbar, slider and legend leave of a screen.
  heightLeft() {
    const others = [...this.root.children].filter((part) => part !== this.stage);
    const taken = others.reduce((sum, part) => sum + part.offsetHeight, 0);
    return Math.max(240, window.innerHeight - taken - 36);
  },

  toggleFullscreen() {
    if (this.fullscreen) document.exitFullscreen();
    else this.root.requestFullscreen?.().catch(() => {
      this.value.textContent = "This browser does not allow full screen here";
    });
  },

  setPanes(planes, sideBySide = false) {
    while (this.panes.length > planes.length) {
      this.panes.pop().canvas.remove();
      this.busy = false; // it may have been dragged on
    }
    while (this.panes.length < planes.length) {
      const pane = new Pane(this, planes[this.panes.length]);
      listenToPointer(pane);
      this.stage.insertBefore(pane.canvas, this.dividerBar);
      this.panes.push(pane);
    }
    planes.forEach((plane, at) => {
      this.panes[at].plane = plane;
      this.panes[at].side = sideBySide ? at : null;
    });
  },
});
