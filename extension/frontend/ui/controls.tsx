/** Buttons, links and small pieces that every view uses. */

import type { ComponentChildren, JSX } from "preact";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { useApp } from "../app/context";
import type { Route } from "../app/place";
import { Icon } from "./icons";

type ButtonProps = Omit<JSX.IntrinsicElements["button"], "icon"> & {
  icon?: string;
  kind?: "primary" | "danger" | "small" | "";
};

/** A button with an optional icon and its words. */
export function Button({ icon, kind = "", children, class: more = "", ...rest }: ButtonProps) {
  return (
    <button type="button" class={`cloudo-button ${kind && `cloudo-${kind}`} ${more as string}`.trim()} {...rest}>
      {icon && <Icon name={icon} />}
      <span>{children}</span>
    </button>
  );
}

/** A button that shows only its icon. `label` is its name and its tooltip. */
export function IconButton({ icon, label, class: more = "", ...rest }: ButtonProps & { icon: string; label: string }) {
  return (
    <button
      type="button"
      class={`cloudo-icon-button ${more as string}`.trim()}
      aria-label={label}
      title={label}
      {...rest}
    >
      <Icon name={icon} />
    </button>
  );
}

/** A text button in the style of a link. */
export function LinkButton({ class: more = "", ...rest }: JSX.IntrinsicElements["button"]) {
  return <button type="button" class={`cloudo-link ${more as string}`.trim()} {...rest} />;
}

interface LinkProps extends Partial<Route> {
  view: string;
  class?: string;
  title?: string;
  children?: ComponentChildren;
  "aria-current"?: "page";
  "aria-label"?: string;
}

/** A link to another view: an ordinary one for the browser's menus, followed without a new page. */
export function Link({ view, id, query = {}, class: more = "cloudo-link", children, ...rest }: LinkProps) {
  const { place } = useApp();
  const href = place.href({ view, id, query });
  const follow = (event: MouseEvent) => {
    if (href && (event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0)) return;
    event.preventDefault();
    event.stopPropagation();
    place.go(view, id, query);
  };
  return (
    <a href={href ?? "#"} class={more} onClick={follow} {...rest}>
      {children}
    </a>
  );
}

/** The address that opens a file of the workspace in JupyterLab, or null. */
export function labUrl(baseUrl: string | null, path: string | null | undefined): string | null {
  if (!baseUrl || !path || path.startsWith("/")) return null;
  return `${baseUrl}lab/tree/${path.split("/").map(encodeURIComponent).join("/")}`;
}

/** A link that opens a file of the workspace in JupyterLab; nothing where that is impossible. */
export function LabLink({
  path,
  class: more = "cloudo-link",
  label,
  children,
}: {
  path: string | null;
  class?: string;
  /** The name of a link that shows only an icon. */
  label?: string;
  children: ComponentChildren;
}) {
  const href = labUrl(useApp().api.transport.baseUrl, path);
  return href ? (
    <a href={href} target="_blank" rel="noopener" class={more} aria-label={label} title={label && "Open in JupyterLab"}>
      {children}
    </a>
  ) : null;
}

/** A name that breaks between its parts first. */
export function Breakable({ text }: { text: string }) {
  return (
    <>
      {text.split(/(?<=[/_.-])/).map((part, at) => (
        <span key={at}>
          {part}
          <wbr />
        </span>
      ))}
    </>
  );
}

/** The heading of a view, and the title of the page. It takes the focus when the reader has moved here. */
export function Heading({ children }: { children: ComponentChildren }) {
  const { place, title } = useApp();
  const element = useRef<HTMLHeadingElement>(null);
  // Before the reader can press another key, which would otherwise be lost.
  useLayoutEffect(() => {
    if (place.hasMoved) element.current?.focus({ preventScroll: true });
  }, [place]);
  useEffect(() => {
    const parts = [...(element.current?.childNodes ?? [])];
    const isName = (part: ChildNode) => !(part instanceof Element && part.matches(".cloudo-count"));
    title.value = parts
      .filter(isName)
      .map(({ textContent }) => textContent)
      .join("");
  });
  return (
    <h1 tabIndex={-1} ref={element}>
      {children}
    </h1>
  );
}

/** A reason why there are no rows, and what to do about it. */
export function Empty({
  title,
  children,
  isFiltered = false,
}: {
  title: string;
  children?: ComponentChildren;
  isFiltered?: boolean;
}) {
  return (
    <div class={`cloudo-nothing ${isFiltered ? "cloudo-unfit" : ""}`.trim()}>
      <h2>{title}</h2>
      {children}
    </div>
  );
}

/** Says that something could not be loaded, and offers another attempt. */
export function LoadError({ what, message, retry }: { what: string; message: string; retry: () => void }) {
  return (
    <Empty title={`${what} could not be loaded`} isFiltered>
      <p>{message}</p>
      <Button icon="again" onClick={retry}>
        Try again
      </Button>
    </Empty>
  );
}

/** Lines in place of rows that are still loading. */
export function Skeleton({ lines = 6 }: { lines?: number }) {
  return (
    <div class="cloudo-skeleton" aria-hidden="true">
      {Array.from({ length: lines }, (_, at) => (
        <div key={at} class="cloudo-skeleton-line">
          <span /> <span /> <span /> <span />
        </div>
      ))}
    </div>
  );
}

/** The search field of a list. The key `/` moves to it. */
export function FilterField({
  label,
  value,
  onChange,
}: {
  label: string;
  value: string;
  onChange: (text: string) => void;
}) {
  return (
    <label class="cloudo-filter">
      <Icon name="search" />
      <input
        class="cloudo-filter-input"
        type="search"
        placeholder={label}
        aria-label={label}
        autocomplete="off"
        spellcheck={false}
        value={value}
        onInput={(event) => onChange(event.currentTarget.value)}
      />
      <kbd aria-hidden="true">/</kbd>
    </label>
  );
}

/** A titled box of a detail view. */
export function Panel({
  title,
  count,
  actions,
  label,
  class: more = "",
  children,
}: {
  title: string;
  count?: ComponentChildren;
  actions?: ComponentChildren;
  label?: string;
  class?: string;
  children: ComponentChildren;
}) {
  return (
    <section class={`cloudo-panel ${more}`.trim()} aria-label={label ?? title}>
      <header>
        <h2>
          {title}
          {count !== undefined && <span class="cloudo-count">{count}</span>}
        </h2>
        {actions && <span class="cloudo-panel-actions">{actions}</span>}
      </header>
      {children}
    </section>
  );
}
