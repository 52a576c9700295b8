// Bundles the extension for JupyterLab. It is small: the views and the API client are files of the page, which it
// imports from the server when a panel opens. No package of JupyterLab is needed to build it.
import { build } from "esbuild";
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

const NAME = "cloudo";
const here = import.meta.dirname;
const source = join(here, "../labextension");
const version = /^version = "(.+)"$/m.exec(readFileSync(join(here, "../../pyproject.toml"), "utf8"))[1];

/** Replaces what JupyterLab shares by what the container has loaded, and collects the names. */
const sharedModules = (names) => ({
  name: "shared",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^@(jupyterlab|lumino)\// }, ({ path }) => {
      names.add(path);
      return { path, namespace: "shared" };
    });
    onLoad({ filter: /.*/, namespace: "shared" }, ({ path }) => ({
      contents: `module.exports = require("./shared").shared[${JSON.stringify(path)}];`,
      resolveDir: join(source, "src"),
    }));
  },
});

async function bundle(names, known) {
  const { outputFiles } = await build({
    bundle: true,
    charset: "utf8",
    define: { SHARED: JSON.stringify(known), VERSION: JSON.stringify(version) },
    entryPoints: [join(source, "src/container.ts")],
    format: "iife",
    legalComments: "none",
    logLevel: "warning",
    minify: true,
    plugins: [sharedModules(names)],
    target: "es2022",
    write: false,
  });
  return outputFiles[0].contents;
}

/** Write the extension to `output`; return its size, compressed. */
export async function buildLabExtension(output) {
  const names = new Set();
  await bundle(names, []);
  const script = await bundle(new Set(), [...names].sort());
  rmSync(output, { recursive: true, force: true });
  mkdirSync(join(output, "static"), { recursive: true });
  writeFileSync(join(output, "static", "remoteEntry.js"), script);
  const schemas = join(output, "schemas", NAME);
  cpSync(join(source, "schema"), schemas, { recursive: true });
  const record = {
    name: NAME,
    version,
    description: "Cloudo in JupyterLab and Notebook",
    license: "MIT",
    jupyterlab: { _build: { load: "static/remoteEntry.js", extension: "./extension" } },
  };
  writeFileSync(join(output, "package.json"), JSON.stringify(record, null, 2) + "\n");
  writeFileSync(join(schemas, "package.json.orig"), JSON.stringify({ name: NAME, version }) + "\n");
  return gzipSync(script, { level: 9 }).length;
}
