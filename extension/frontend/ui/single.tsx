/** The frame of a page about one object: the way back to its list, and what stands there before it has come. */

import type { ComponentChildren } from "preact";
import type { ApiError } from "../api/client";
import { useApp } from "../app/context";
import { TITLES } from "../app/views";
import { Empty, Heading, Link, LoadError, Skeleton } from "./controls";

interface SingleProps {
  /** The name of the page, such as `Flow`. */
  label: string;
  /** The list that it belongs to. */
  list: string;
  /** Links to the objects above it, after the one to the list. */
  trail?: ComponentChildren;
  /** The heading until the object has come. */
  heading: string;
  /** The error of the last request for it. */
  error: ApiError | null;
  /** Whether it does not exist, and why that may be. */
  isGone: boolean;
  gone: string;
  retry: () => void;
  /** The page itself; null until the object has come. */
  children: ComponentChildren;
}

export function Single({ label, list, trail, heading, error, isGone, gone, retry, children }: SingleProps) {
  const { hasTabs } = useApp();
  const noun = label.toLowerCase();
  return (
    <section class="cloudo-view" aria-label={label}>
      {hasTabs && (
        <nav aria-label="Back" class="cloudo-trail">
          <Link view={list} class="cloudo-link cloudo-back">
            {TITLES[list]}
          </Link>
          {trail}
        </nav>
      )}
      {children && !isGone ? (
        children
      ) : (
        <>
          <div class="cloudo-heading">
            <Heading>{heading}</Heading>
          </div>
          <div class="cloudo-body">
            {isGone ? (
              <Empty title={`This ${noun} does not exist`}>
                <p>{gone}</p>
                <Link view={list}>{`Show all ${list}`}</Link>
              </Empty>
            ) : error ? (
              <LoadError what={`The ${noun}`} message={error.message} retry={retry} />
            ) : (
              <Skeleton />
            )}
          </div>
        </>
      )}
    </section>
  );
}
