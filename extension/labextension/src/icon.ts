/** Cloudo's icon. JupyterLab colours it with the theme. */

import { LabIcon } from "@jupyterlab/ui-components";

const CLOUD =
  '<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="5 5 22 22">' +
  '<path class="jp-icon3 jp-icon-selectable" fill="#616161" fill-rule="evenodd" ' +
  'd="M10.5 23a5.5 5.5 0 0 1-.6-10.97 7 7 0 0 1 13.5 1.1A5 5 0 0 1 22.5 23ZM14 13.8v6.4l5.2-3.2Z"/></svg>';

export const icon = new LabIcon({ name: "cloudo:icon", svgstr: CLOUD });
