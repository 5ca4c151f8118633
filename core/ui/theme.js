// Asks for the page once more when its theme is another than the one that it was drawn for.

export default function ({ data, parentElement, setStateValue }) {
  const probe = parentElement.querySelector("span");
  if (!probe || !data) return undefined;
  const watch = () => {
    keepThemeForAllPages();
    const light = getComputedStyle(probe).colorScheme === "light";
    if (light !== data.light && light !== probe.asked) {
      probe.asked = light;
      setStateValue("theme", light ? "light" : "dark");
    }
  };
  probe.asked = undefined;
  const observer = new MutationObserver(watch);
  observer.observe(streamlitApp(), { attributes: true, attributeFilter: ["class"] });
  watch();
  return () => observer.disconnect();
}
