/** Light or dark. The page's head applies it before the first paint, by the same rules. */

const KEY = "cloudo-theme";

const systemTheme = (): string => (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");

function remembered(): string | null {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null; // without storage, the choice lasts as long as the page
  }
}

/** Follow the system's theme until the user chooses another one. */
export function followSystemTheme(): void {
  const root = document.documentElement;
  root.dataset.theme = remembered() ?? systemTheme();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    if (!remembered()) root.dataset.theme = systemTheme();
  });
}

export function toggleTheme(): void {
  const root = document.documentElement;
  const theme = root.dataset.theme === "dark" ? "light" : "dark";
  root.dataset.theme = theme;
  try {
    if (theme === systemTheme()) localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, theme);
  } catch {
    // as above
  }
}
