// What the browser code uses of Streamlit's own page, all in one place; checked against the
// installed version by tests/test_streamlit_internals.py.

const STREAMLIT_SCRIPTS = "/static/js/";
const PLOTLY_CHART = ".js-plotly-plot";

// Where the app lies: Streamlit's own script says so, whatever proxy stands before it.
function appBase() {
  const script = [...document.scripts].find((one) => one.src.includes(STREAMLIT_SCRIPTS));
  return script ? script.src.slice(0, script.src.indexOf(STREAMLIT_SCRIPTS)) : "";
}

// The Plotly scene in the container of that key, once it is drawn; Streamlit makes Plotly global.
function plotlyScene(key) {
  const chart = document.querySelector(`.st-key-${key} ${PLOTLY_CHART}`);
  return window.Plotly && chart?.layout?.scene && chart.on ? chart : null;
}

// The element that has the colours of the theme.
function streamlitApp() {
  return document.querySelector("[data-testid=stApp]");
}

// Streamlit keeps the chosen theme for the address that was loaded alone; here for all pages.
function keepThemeForAllPages() {
  const key = (path) => `stActiveTheme-${path}-v2`;
  const pages = [...document.querySelectorAll("[data-testid=stSidebarNavLink]")]
    .map((link) => new URL(link.href).pathname);
  const loaded = new URL(performance.getEntriesByType("navigation")[0].name).pathname;
  const chosen = pages.includes(loaded) && localStorage.getItem(key(loaded));
  if (chosen) for (const path of pages) localStorage.setItem(key(path), chosen);
}
