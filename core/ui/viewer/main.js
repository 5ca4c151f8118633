// What Streamlit calls: at the first drawing of the page, and again whenever the header changes.

export default function (component) {
  const { data: header, parentElement, setStateValue, setTriggerValue } = component;
  const root = parentElement.querySelector(".lunglens");
  if (!root || !header) return;
  const view = root.lunglens ?? (root.lunglens = new View(root));
  view.tellPython = (place) => setStateValue("place", place);
  view.tellAnnotations = (found) => setStateValue("annotations", found);
  view.tellSolid = () => setTriggerValue("solid", true);
  view.tellCorrect = () => setTriggerValue("correct", true);
  view.tellEdited = (edited) => setStateValue("edited", edited);
  view.show(header);
  return () => view.leave();
}
