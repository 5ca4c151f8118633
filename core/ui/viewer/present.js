// For a room: the whole screen with headline, picture and profile alone, in large type.

Object.assign(View.prototype, {
  togglePresent() {
    if (this.presenting) {
      this.endPresent();
      return;
    }
    this.presenting = true;
    this.root.classList.add("presenting");
    this.headline ??= element("div", { class: "headline" });
    this.fillHeadline();
    this.root.prepend(this.headline);
    this.changed({ layout: true });
    this.root.requestFullscreen?.().catch(() => {
      // Then it fills the window.
      this.root.classList.add("window");
      this.changed({ layout: true });
    });
    this.panes[0].canvas.focus({ preventScroll: true });
  },

  // Again with each new header: where infection lies may still be being measured.
  fillHeadline() {
    const { first, second } = this.header.headline ?? {};
    this.headline.replaceChildren(
      element("p", { class: "first", text: first ?? this.sources[0].header.name }),
      element("p", { class: "second", text: second ?? "" }));
  },

  endPresent() {
    if (!this.presenting) return;
    this.presenting = false;
    this.root.classList.remove("presenting", "window");
    this.headline.remove();
    if (this.fullscreen) document.exitFullscreen();
    this.changed({ layout: true });
  },
});
