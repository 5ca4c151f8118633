// What Streamlit calls: at the first drawing of the page, and again whenever the header changes.

export default function (component) {
  const { data, parentElement, setStateValue, setTriggerValue } = component;
  const root = parentElement.querySelector(".lunglens");
  if (!root || !data) return;
  const { header, pictures } = unpack(data);
  const view = root.lunglens ?? (root.lunglens = new View(root));
  view.tellPython = (place) => setStateValue("place", place);
  view.tellAnnotations = (found) => setStateValue("annotations", found);
  view.tellSolid = () => setTriggerValue("solid", true);
  view.tellEdited = (edited) => setStateValue("edited", edited);
  view.show(header, pictures);
  return () => view.leave();
}

// Still pictures come as bytes: length of the header, header, pixels of both.
function unpack(data) {
  if (!(data instanceof Uint8Array || data instanceof ArrayBuffer)) return { header: data };
  const bytes = data instanceof Uint8Array ? data : new Uint8Array(data);
  const length = new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length)));
  const count = header.pictures.rows * header.pictures.columns;
  const start = 4 + length;
  return {
    header,
    pictures: [bytes.slice(start, start + count), bytes.slice(start + count, start + 2 * count)],
  };
}
