/** Styles of what is there before a view is loaded. Those of the views come with them. */
export const STYLE = `
.jp-SideBar .lm-TabBar-tab[data-cloudo-questions] { position: relative; }
.jp-SideBar .lm-TabBar-tab[data-cloudo-questions]:not([data-cloudo-questions=""])::after {
  background: var(--jp-warn-color0, #8f5f00); border-radius: 8px; box-sizing: border-box;
  color: var(--jp-ui-inverse-font-color0, #fff); content: attr(data-cloudo-questions);
  content: attr(data-cloudo-questions) / ""; font-size: 10px;
  line-height: 16px; min-width: 16px; padding: 0 4px; position: absolute; right: 2px; text-align: center; top: 2px;
}
.cloudo-run-bar, .cloudo-run-strip:not(.lm-mod-hidden) { align-items: center; display: flex; gap: 2px; padding: 0 4px; white-space: nowrap; }
.cloudo-run-strip {
  background: var(--jp-toolbar-background); border-bottom: 1px solid var(--jp-toolbar-border-color); min-height: 30px;
  overflow-x: auto;
}
.cloudo-run-strip > [role=status] { color: var(--jp-ui-font-color1); font-size: var(--jp-ui-font-size1); padding: 0 6px; }
.cloudo-run-strip > [data-status=ENDED_ERROR] { color: var(--jp-error-color0); }
.cloudo-run-strip > [data-status=ENDED_SUCCESS] { color: var(--jp-success-color0); }
.cloudo-run-button {
  align-items: center; background: none; border: 0; border-radius: var(--jp-border-radius); display: inline-flex;
  color: var(--jp-ui-font-color1); cursor: pointer; font: var(--jp-ui-font-size1) var(--jp-ui-font-family); gap: 4px;
  height: 24px; padding: 0 6px;
}
.cloudo-run-button:hover:enabled { background: var(--jp-layout-color2); }
.cloudo-run-button:focus-visible { outline: 2px solid var(--jp-brand-color1); }
.cloudo-run-button:disabled { cursor: default; opacity: 0.5; }
.cloudo-run-button svg { display: block; height: 16px; width: 16px; }
.cloudo-cell-run {
  border-left: 3px solid var(--jp-border-color1); margin: 4px 0 4px var(--jp-cell-prompt-width, 64px);
  padding-left: 8px;
}
.cloudo-cell-run[data-status=running] { border-color: var(--jp-brand-color1); }
.cloudo-cell-run[data-status=done] { border-color: var(--jp-success-color1); }
.cloudo-cell-run[data-status=failed] { border-color: var(--jp-error-color1); }
.cloudo-cell-run-words { color: var(--jp-ui-font-color2); font-size: var(--jp-ui-font-size0); line-height: 1.6; }
.cloudo-cell-run-output { max-height: 480px; overflow: auto; }
.cloudo-inputs {
  align-items: baseline; color: var(--jp-ui-font-color2); display: flex; flex-wrap: wrap; font-size: var(--jp-ui-font-size0); gap: 0 12px;
  margin: 2px 0 4px var(--jp-cell-prompt-width, 64px); padding-left: 8px;
}
.cloudo-inputs:empty { display: none; }
.cloudo-inputs code { color: var(--jp-ui-font-color1); }
.cloudo-status-bar:not(.lm-mod-hidden) { align-items: center; display: flex; gap: 4px; height: 24px; padding: 0 4px; }
.cloudo-status-bar > button {
  background: none; border: 0; color: inherit; cursor: pointer; font: inherit; height: 100%; padding: 0 2px;
}
.cloudo-status-bar > button:hover { background: var(--jp-layout-color4); }
.cloudo-status-bar > button:focus-visible { outline: 1px solid currentcolor; }
.cloudo-status-bar > [hidden] { display: none; }`;
