/** Which rows of a long table are near the window. Short tables are shown whole. */

import {
  Virtualizer,
  elementScroll,
  measureElement,
  observeElementOffset,
  observeElementRect,
  observeWindowOffset,
  observeWindowRect,
  windowScroll,
} from "@tanstack/virtual-core";
import type { RefObject } from "preact";
import { useCallback, useLayoutEffect, useReducer, useRef } from "preact/hooks";

/** Tables up to this length are shown whole: browsers cope, and their own search finds every row. */
const MAX_WHOLE = 200;
const ROW_HEIGHT = 76;
const OVERSCAN = 4;

export interface VirtualRows {
  indexes: readonly number[];
  /** Heights of the rows above and below, in pixels. */
  before: number;
  after: number;
  measure: (element: HTMLElement | null) => void;
  scrollTo: (index: number) => void;
}

type AnyVirtualizer = Virtualizer<Window | HTMLElement, HTMLElement>;

export function useVirtualRows(count: number, body: RefObject<HTMLElement | null>): VirtualRows {
  const [, redraw] = useReducer((turn: number) => turn + 1, 0);
  const kept = useRef<AnyVirtualizer | null>(null);
  const isWhole = count <= MAX_WHOLE;

  useLayoutEffect(() => {
    if (isWhole || !body.current) return undefined;
    const virtualizer = create(body.current, count, () => redraw(0));
    kept.current = virtualizer;
    const cleanUp = virtualizer._didMount();
    virtualizer._willUpdate();
    redraw(0);
    return () => {
      cleanUp();
      kept.current = null;
    };
  }, [isWhole]);
  const virtualizer = isWhole ? null : kept.current;
  if (virtualizer && virtualizer.options.count !== count) virtualizer.setOptions({ ...virtualizer.options, count });
  useLayoutEffect(() => virtualizer?._willUpdate());
  // Another one for another virtualizer, so that rows that were drawn before it are measured, too.
  const measure = useCallback((element: HTMLElement | null) => virtualizer?.measureElement(element), [virtualizer]);

  if (isWhole) return { indexes: range(0, count), before: 0, after: 0, measure: () => {}, scrollTo: () => {} };
  const items = virtualizer?.getVirtualItems() ?? [];
  const first = items[0];
  const last = items.at(-1);
  const margin = virtualizer?.options.scrollMargin ?? 0;
  return {
    indexes: first && last ? range(first.index, last.index + 1) : range(0, Math.min(count, 40)),
    before: first ? first.start - margin : 0,
    after: last && virtualizer ? virtualizer.getTotalSize() - (last.end - margin) : 0,
    measure,
    scrollTo: (index) => virtualizer?.scrollToIndex(index),
  };
}

function create(body: HTMLElement, count: number, onChange: () => void): AnyVirtualizer {
  const scroller = scrollerOf(body);
  const common = { count, estimateSize: () => ROW_HEIGHT, overscan: OVERSCAN, onChange, measureElement };
  if (scroller) {
    const offset = body.getBoundingClientRect().top - scroller.getBoundingClientRect().top + scroller.scrollTop;
    return new Virtualizer<HTMLElement, HTMLElement>({
      ...common,
      getScrollElement: () => scroller,
      observeElementRect,
      observeElementOffset,
      scrollToFn: elementScroll,
      scrollMargin: offset,
    }) as unknown as AnyVirtualizer;
  }
  return new Virtualizer<Window, HTMLElement>({
    ...common,
    getScrollElement: () => window,
    observeElementRect: observeWindowRect,
    observeElementOffset: observeWindowOffset,
    scrollToFn: windowScroll,
    initialOffset: () => window.scrollY,
    scrollMargin: body.getBoundingClientRect().top + window.scrollY,
  }) as unknown as AnyVirtualizer;
}

/** The nearest ancestor that scrolls, or null if that is the window. */
function scrollerOf(element: HTMLElement): HTMLElement | null {
  for (let parent = element.parentElement; parent && parent !== document.body; parent = parent.parentElement) {
    if (/auto|scroll/.test(getComputedStyle(parent).overflowY)) return parent;
  }
  return null;
}

const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, at) => from + at);
