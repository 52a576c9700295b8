/** Cloudo's icons: one that JupyterLab colours with the theme, and the logo of the launcher's tiles. */

import { LabIcon } from "@jupyterlab/ui-components";

const CLOUD = "M10.5 23a5.5 5.5 0 0 1-.6-10.97 7 7 0 0 1 13.5 1.1A5 5 0 0 1 22.5 23Z";
const PLAY = "M14 13.8v6.4l5.2-3.2Z";

const svg = (content: string): string =>
  `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="5 5 22 22">${content}</svg>`;

export const icon = new LabIcon({
  name: "cloudo:icon",
  svgstr: svg(`<path class="jp-icon3 jp-icon-selectable" fill="#616161" fill-rule="evenodd" d="${CLOUD}${PLAY}"/>`),
});

/** The same picture as `cloudo_kernel/kernelspec/logo-svg.svg`. */
export const logo = new LabIcon({
  name: "cloudo:logo",
  svgstr: svg(`<path fill="#2f7fc1" d="${CLOUD}"/><path fill="#fff" d="${PLAY}"/>`),
});
