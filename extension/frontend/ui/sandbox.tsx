/** A page of the server that may do nothing: no scripts, no origin, no navigation. It says when it is still loading. */

import { useState } from "preact/hooks";

interface SandboxProps {
  src: string;
  title: string;
  /** Pixels; by default as the style sheet says. */
  height?: number;
  onLoad?: () => void;
}

export function Sandbox({ src, title, height, onLoad }: SandboxProps) {
  const [loaded, setLoaded] = useState("");
  return (
    <div class="cloudo-frame-box">
      {loaded !== src && <p class="cloudo-muted">Loading…</p>}
      <iframe
        class="cloudo-frame"
        sandbox=""
        style={height === undefined ? undefined : { height: `${height}px` }}
        title={title}
        referrerpolicy="no-referrer"
        src={src}
        onLoad={() => {
          setLoaded(src);
          onLoad?.();
        }}
      />
    </div>
  );
}
