/**
 * A button that opens a menu: arrows, Home, End and first letters move in it, Escape and Tab leave it, and the focus
 * returns (the menu button of the ARIA Authoring Practices).
 */

import { useEffect, useRef, useState } from "preact/hooks";
import { Icon } from "./icons";
import { useId } from "./ids";

export interface MenuItem {
  word: string;
  act: () => void;
  isDisabled?: boolean;
}

export interface MenuGroup {
  title: string;
  items: MenuItem[];
}

interface MenuButtonProps {
  label: string;
  /** Words on the button; without them it shows an arrow only. */
  word?: string;
  class?: string;
  groups: () => MenuGroup[];
}

const GAP = 4;

export function MenuButton({ label, word, class: more = "", groups }: MenuButtonProps) {
  const id = useId();
  const button = useRef<HTMLButtonElement>(null);
  const menu = useRef<HTMLDivElement>(null);
  const [open, setOpen] = useState<"first" | "last" | null>(null);
  const items = () => [...(menu.current?.querySelectorAll<HTMLElement>("[role=menuitem]") ?? [])];
  const close = () => {
    setOpen(null);
    button.current?.focus();
  };

  useEffect(() => {
    if (!open || !menu.current || !button.current) return undefined;
    menu.current.showPopover();
    place(menu.current, button.current);
    items()
      .at(open === "last" ? -1 : 0)
      ?.focus();
    const outside = ({ target }: Event) => {
      const isInside = target instanceof Node && (menu.current?.contains(target) || button.current?.contains(target));
      if (!isInside) setOpen(null);
    };
    document.addEventListener("pointerdown", outside);
    return () => document.removeEventListener("pointerdown", outside);
  }, [open]);

  const keyInMenu = (event: KeyboardEvent) => {
    const all = items();
    const at = all.indexOf(document.activeElement as HTMLElement);
    if (event.key === "Escape" || event.key === "Tab") {
      close();
      if (event.key === "Escape") event.preventDefault();
      event.stopPropagation();
      return; // Tab goes on from the button
    }
    const letter = event.key.length === 1 && event.key !== " " ? event.key.toLowerCase() : null;
    const named =
      letter &&
      [...all.slice(at + 1), ...all.slice(0, at + 1)].find((item) =>
        item.textContent?.toLowerCase().startsWith(letter),
      );
    const moves: Record<string, HTMLElement | undefined> = {
      ArrowDown: all[at + 1] ?? all[0],
      ArrowUp: all.at(at - 1),
      Home: all[0],
      End: all.at(-1),
    };
    const to = named || moves[event.key];
    event.stopPropagation();
    if (!to) return;
    to.focus();
    event.preventDefault();
  };

  return (
    <>
      <button
        ref={button}
        type="button"
        class={`cloudo-button ${word ? "" : "cloudo-arrow-button"} ${more}`.trim()}
        aria-label={label}
        title={word ? undefined : label}
        aria-haspopup="menu"
        aria-expanded={open !== null}
        aria-controls={id}
        onClick={() => (open ? setOpen(null) : setOpen("first"))}
        onKeyDown={(event) => {
          if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
          event.preventDefault();
          setOpen(event.key === "ArrowUp" ? "last" : "first");
        }}
      >
        {word && <span>{word}</span>}
        <Icon name="down" />
      </button>
      <div
        ref={menu}
        id={id}
        class="cloudo-menu"
        role="menu"
        aria-label={label}
        popover="manual"
        onKeyDown={keyInMenu}
        hidden={!open}
      >
        {open &&
          groups().map(({ title, items: entries }) => (
            <div key={title} class="cloudo-menu-group" role="group" aria-label={title}>
              {entries.map(({ word: text, act, isDisabled }) => (
                <button
                  key={text}
                  type="button"
                  class="cloudo-menu-item"
                  role="menuitem"
                  tabIndex={-1}
                  aria-disabled={isDisabled ? "true" : undefined}
                  onClick={() => {
                    if (isDisabled) return;
                    close();
                    act();
                  }}
                >
                  {text}
                </button>
              ))}
            </div>
          ))}
      </div>
    </>
  );
}

/** Put the menu beside its button. In the window's top layer nothing clips it. */
function place(menu: HTMLElement, button: HTMLElement): void {
  const { left, right, top, bottom } = button.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = menu;
  const isBelow = bottom + GAP + height <= innerHeight || top < height;
  menu.style.left = `${Math.max(GAP, Math.min(left, right, innerWidth - width - GAP))}px`;
  menu.style.top = `${isBelow ? bottom + GAP : top - GAP - height}px`;
}
