/**
 * A button that opens a menu: arrows, Home, End and first letters move in it, Escape and Tab leave it, the focus
 * returns (the menu button of the ARIA Authoring Practices).
 */

import { h, icon, newId, put } from "./dom.js";

const GAP = 4;

/** `groups()` gives what is offered now: `{ title, items: [{ word, act, isOff }] }`. */
export class MenuButton {
  constructor(label, groups) {
    this.groups = groups;
    this.menu = h("div.menu", { id: newId(), role: "menu", "aria-label": label, popover: "auto" });
    const onclick = () => (this.menu.matches(":popover-open") ? this.menu.hidePopover() : this.#open());
    // By pointer the popover is closed by itself before the click, which would open it again.
    const onpointerdown = () => (this.wasOpen = this.menu.matches(":popover-open"));
    const about = { "aria-haspopup": "menu", "aria-expanded": "false", "aria-controls": this.menu.id };
    this.button = h("button.button.arrow-button", { "aria-label": label, title: label, ...about }, icon("down"));
    this.button.addEventListener("pointerdown", onpointerdown);
    this.button.addEventListener("click", () => (this.wasOpen ? (this.wasOpen = false) : onclick()));
    this.button.addEventListener("keydown", (event) => this.#keyOnButton(event));
    this.menu.addEventListener("keydown", (event) => this.#key(event));
    this.menu.addEventListener("toggle", ({ newState }) => this.button.setAttribute("aria-expanded", String(newState === "open")));
    this.elements = [this.button, this.menu];
  }

  #open(isLast = false) {
    put(this.menu, ...this.groups().map(({ title, items }) => h("div.menu-group", { role: "group", "aria-label": title }, ...items.map((item) => this.#item(item)))));
    this.menu.showPopover();
    this.#place();
    const all = this.#all();
    all.at(isLast ? -1 : 0)?.focus();
  }

  #item({ word, act, isOff }) {
    const onclick = () => {
      if (isOff) return;
      this.menu.hidePopover();
      this.button.focus();
      act();
    };
    return h("button.menu-item", { role: "menuitem", tabindex: -1, "aria-disabled": isOff && "true", onclick }, word);
  }

  /** In the window's top layer nothing clips it, but it has to be put beside its button. */
  #place() {
    const { left, right, top, bottom } = this.button.getBoundingClientRect();
    const { offsetWidth: width, offsetHeight: height } = this.menu;
    const isBelow = bottom + GAP + height <= innerHeight || top < height;
    this.menu.style.left = `${Math.max(GAP, Math.min(left, right, innerWidth - width - GAP))}px`;
    this.menu.style.top = `${isBelow ? bottom + GAP : top - GAP - height}px`;
  }

  #all() {
    return [...this.menu.querySelectorAll("[role=menuitem]")];
  }

  #keyOnButton(event) {
    if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
    event.preventDefault();
    this.#open(event.key === "ArrowUp");
  }

  #key(event) {
    const all = this.#all();
    const at = all.indexOf(document.activeElement);
    const letter = event.key.length === 1 && event.key !== " " ? event.key.toLowerCase() : null;
    const named = letter && [...all.slice(at + 1), ...all.slice(0, at + 1)].find(({ textContent: word }) => word.toLowerCase().startsWith(letter));
    const to = named ?? { ArrowDown: all[at + 1] ?? all[0], ArrowUp: all.at(at - 1), Home: all[0], End: all.at(-1) }[event.key];
    if (event.key === "Escape" || event.key === "Tab") {
      this.menu.hidePopover();
      this.button.focus();
    }
    // Tab goes on from the button, as if there were no menu.
    if (event.key === "Tab") return;
    to?.focus();
    event.stopPropagation();
    if (to || event.key === "Escape") event.preventDefault();
  }
}
