/*
 * What the page can do before its kernel is there: light or dark, changing the view, saying what went wrong.
 */
(function () {
  "use strict";
  const root = document.documentElement;
  const KEY = "cloudo-theme";
  // No module has loaded that could notice a failure earlier than by waiting.
  const PATIENCE = 45000;

  function systemTheme() {
    return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  }

  function remembered() {
    try {
      return localStorage.getItem(KEY);
    } catch {
      return null; // storage is switched off: the theme then lasts as long as the page
    }
  }

  function setTheme(theme) {
    root.dataset.theme = theme;
    try {
      if (theme === systemTheme()) localStorage.removeItem(KEY);
      else localStorage.setItem(KEY, theme);
    } catch {
      // as above
    }
  }

  /** Say in the shell why there is no dashboard. Voila's handler calls it too. */
  function fail(message) {
    const trouble = document.getElementById("cloudo-trouble");
    if (!trouble) return;
    trouble.querySelector("p").textContent = message;
    trouble.hidden = false;
    document.querySelector("#cloudo-shell main").hidden = true;
  }

  /** A cell of the notebook that failed shows its error where the dashboard would be. */
  function watchCells() {
    const cells = document.getElementById("rendered_cells");
    if (!cells) return;
    new MutationObserver(() => {
      const error = cells.querySelector("[data-mime-type='application/vnd.jupyter.error'], [data-mime-type='application/vnd.jupyter.stderr']");
      const lines = error && error.textContent.trim().split("\n");
      if (lines && lines[0]) fail(`The dashboard could not start. ${lines[lines.length - 1]}`);
    }).observe(cells, { childList: true, subtree: true, characterData: true });
  }

  /** Before the widget is there a click on a tab must not load the page anew, for that would start a second kernel. */
  function followTab(event) {
    const tab = event.target.closest("#cloudo-shell .cloudo-tab, #cloudo-shell .cloudo-brand");
    if (!tab || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    const href = tab.classList.contains("cloudo-brand") ? `${document.body.dataset.cloudoRoot}flows` : tab.href;
    history.pushState(null, "", href);
    for (const other of document.querySelectorAll("#cloudo-shell .cloudo-tab")) {
      if (other.href === new URL(href, location.href).href) other.setAttribute("aria-current", "page");
      else other.removeAttribute("aria-current");
    }
    document.querySelector("#cloudo-shell h1").textContent = document.querySelector("#cloudo-shell .cloudo-tab[aria-current]").textContent;
  }

  /** Voila's scripts end the kernel of a page that closes; of one that closes before they are there, this does. */
  function endKernel() {
    const told = document.getElementById("cloudo-shell") && document.getElementById("jupyter-config-data");
    if (!told) return;
    const { baseUrl, kernelId } = JSON.parse(told.textContent);
    const form = new FormData();
    form.append("_xsrf", (document.cookie.match(/\b_xsrf=([^;]*)/) || ["", ""])[1]);
    navigator.sendBeacon(`${baseUrl}voila/api/shutdown/${kernelId}`, form);
  }

  root.dataset.theme = remembered() || systemTheme();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    if (!remembered()) root.dataset.theme = systemTheme();
  });
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-cloudo-reload]")) location.reload();
    if (event.target.closest("[data-cloudo-theme]")) setTheme(root.dataset.theme === "dark" ? "light" : "dark");
    followTab(event);
  });
  document.addEventListener("DOMContentLoaded", watchCells);
  window.addEventListener("pagehide", endKernel);
  setTimeout(() => fail("The dashboard takes unusually long to start. The server may be very busy, or its kernel cannot start: the log of the server tells why."), PATIENCE);
  window.cloudoFailed = fail;
  // Voila's scripts call these; this template shows nothing for them.
  window.voila_heartbeat = window.voila_process = window.voila_finish = window.update_loading_text = () => {};
})();
