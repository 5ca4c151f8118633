// The current view as a PNG, with all that is written over it.

Object.assign(View.prototype, {
  // All canvases of the stage on one.
  wholePicture() {
    const density = this.panes[0].density;
    const stage = this.stage.getBoundingClientRect();
    const whole = document.createElement("canvas");
    whole.width = Math.round(stage.width * density);
    whole.height = Math.round(stage.height * density);
    const context = whole.getContext("2d");
    context.fillStyle = "#000";
    context.fillRect(0, 0, whole.width, whole.height);
    for (const { canvas } of this.panes) {
      const place = canvas.getBoundingClientRect();
      context.drawImage(
        canvas, Math.round((place.left - stage.left) * density),
        Math.round((place.top - stage.top) * density));
    }
    return new Promise((done) => whole.toBlob(done, "image/png"));
  },

  // Without the scan's name, which may be a person's.
  async savePicture() {
    const { plane } = this.place;
    const link = document.createElement("a");
    link.href = URL.createObjectURL(await this.wholePicture());
    link.download = this.sources[0].scan
      ? `lunglens_${this.layout === "linked" ? "linked" : plane}_${this.sliceOf(plane) + 1}.png`
      : "lunglens_comparison.png";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    this.value.textContent = `Saved ${link.download}`;
  },

  async copyPicture() {
    try {
      await navigator.clipboard.write([
        new ClipboardItem({ "image/png": this.wholePicture() }),
      ]);
      this.value.textContent = "The picture was copied";
    } catch {
      this.value.textContent = "This browser does not let the picture be copied; save it instead";
    }
  },
});
