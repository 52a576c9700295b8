// Bundles the front end: node build.mjs OUTPUT EXTENSION. Writes hashed files, each also compressed, and
// manifest.json to OUTPUT, and the extension for JupyterLab to EXTENSION.
import { build } from "esbuild";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { buildLabExtension } from "./labextension.mjs";

const here = import.meta.dirname;
const [output, labExtension] = process.argv.slice(2);
const common = {
  absWorkingDir: here,
  bundle: true,
  charset: "utf8",
  format: "esm",
  jsx: "automatic",
  jsxImportSource: "preact",
  legalComments: "none",
  logLevel: "warning",
  minify: true,
  target: "es2022",
  write: false,
};

/** Run esbuild; return the contents of its files by name, and what imports what. */
async function bundle(options) {
  const { outputFiles, metafile } = await build({ ...common, outdir: "out", metafile: true, ...options });
  return { contents: outputFiles.map(({ path, contents }) => [basename(path), contents]), outputs: metafile.outputs };
}

/** What an output imports at once and, if so asked, later, and what that imports; with itself. */
function needs(outputs, path, isWhole = false, found = new Set()) {
  if (found.has(path)) return found;
  found.add(path);
  for (const { path: imported, kind } of outputs[path].imports)
    if (isWhole || kind === "import-statement") needs(outputs, imported, isWhole, found);
  return found;
}

const outputOf = (outputs, entry) => Object.keys(outputs).find((path) => outputs[path].entryPoint === entry);

/** The chunks that each view needs, so that the page can ask for all of them at once. */
function chunksOfViews(outputs) {
  const views = readFileSync(join(here, "app/views.ts"), "utf8").matchAll(
    /(\w+): async \(\) => \(await import\("\.\.\/(.+?)"\)\)/g,
  );
  return Object.fromEntries(
    [...views].map(([, view, module]) => {
      const entries = ["app/page.ts", `${module}.tsx`];
      const paths = entries.flatMap((entry) => [...needs(outputs, outputOf(outputs, entry))]);
      return [view, [...new Set(paths.map((path) => basename(path)))]];
    }),
  );
}

const hashed = (name, contents) => {
  const [stem, ending] = [name.slice(0, name.lastIndexOf(".")), name.slice(name.lastIndexOf("."))];
  return `${stem}-${createHash("sha256").update(contents).digest("hex").slice(0, 10)}${ending}`;
};

/** Every view imports what several of them share, so that the bundler puts it into one file instead of a dozen. */
const shared = {
  name: "shared",
  setup({ onLoad }) {
    onLoad({ filter: /[\\/]views[\\/].*\.tsx?$/ }, ({ path }) => ({
      contents: `import ${JSON.stringify(join(here, "app/common.ts"))};\n${readFileSync(path, "utf8")}`,
      loader: path.endsWith("x") ? "tsx" : "ts",
      resolveDir: dirname(path),
    }));
  },
};

const files = new Map();
const manifest = {};
const split = {
  entryPoints: ["app/page.ts", "app/widget.ts", "app/lab.ts"],
  splitting: true,
  plugins: [shared],
  chunkNames: "chunk-[hash]",
  entryNames: "[name]-[hash]",
};
const page = await bundle(split);
for (const [name, contents] of page.contents) {
  files.set(name, contents);
  const [entry] = /^(page|lab)(?=-)/.exec(name) ?? [];
  if (entry) manifest[`${entry}.js`] = name;
}
manifest.views = chunksOfViews(page.outputs);
// The widget's kernel sends all of them with `files.js`; the first one is what that imports.
manifest.widget = [...needs(page.outputs, outputOf(page.outputs, "app/widget.ts"), true)].map((path) => basename(path));
// These are single files: a worker cannot import chunks on every browser, and no server is there for a widget.
const single = await bundle({ entryPoints: ["api/events.ts", "app/files.ts", "ui/style.css"] });
for (const [name, contents] of single.contents) {
  manifest[name] = hashed(name, contents);
  files.set(manifest[name], contents);
}

const labSize = await buildLabExtension(labExtension);
mkdirSync(output, { recursive: true });
for (const name of readdirSync(output)) if (name !== ".gitignore") rmSync(join(output, name));
for (const [name, contents] of files) {
  writeFileSync(join(output, name), contents);
  writeFileSync(join(output, `${name}.gz`), gzipSync(contents, { level: 9 }));
}
// Last, because it announces the other files.
writeFileSync(join(output, "manifest.json"), JSON.stringify(manifest, null, 2) + "\n");
const total = [...files].map(([name]) => readFileSync(join(output, `${name}.gz`)).length).reduce((a, b) => a + b, 0);
process.stdout.write(
  `${files.size} files, ${Math.round(total / 1000)} kB compressed; JupyterLab: ${Math.round(labSize / 1000)} kB\n`,
);
