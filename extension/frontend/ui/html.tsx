/** HTML that the server has rendered from Markdown and sanitised. */

import { useLayoutEffect, useRef } from "preact/hooks";
import { sanitisedByServer } from "./trusted";

/** Show HTML of a field named `…_html` of REST. Pass it nothing else. */
export function SanitizedHtml({ html, class: more = "" }: { html: string; class?: string }) {
  const element = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    if (element.current) element.current.innerHTML = sanitisedByServer(html);
  }, [html]);
  return <div ref={element} class={`cloudo-markdown ${more}`.trim()} />;
}
