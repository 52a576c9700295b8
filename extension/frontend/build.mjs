// Bundles the front end: node build.mjs OUTPUT. Writes hashed files, each also compressed, and manifest.json.
import { build } from "esbuild";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { gzipSync } from "node:zlib";

const here = import.meta.dirname;
const output = process.argv[2];
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

/** Run esbuild; return the contents of its files by name. */
async function bundle(options) {
  const { outputFiles } = await build({ ...common, outdir: "out", ...options });
  return outputFiles.map(({ path, contents }) => [basename(path), contents]);
}

const hashed = (name, contents) => {
  const [stem, ending] = [name.slice(0, name.lastIndexOf(".")), name.slice(name.lastIndexOf("."))];
  return `${stem}-${createHash("sha256").update(contents).digest("hex").slice(0, 10)}${ending}`;
};

const files = new Map();
const manifest = {};
const split = {
  entryPoints: ["app/page.ts"],
  splitting: true,
  chunkNames: "chunk-[hash]",
  entryNames: "[name]-[hash]",
};
for (const [name, contents] of await bundle(split)) {
  files.set(name, contents);
  if (name.startsWith("page-")) manifest["page.js"] = name;
}
// These are single files: a worker cannot import chunks on every browser, and a widget has no server to import from.
for (const [name, contents] of await bundle({ entryPoints: ["api/events.ts", "app/widget.ts", "ui/style.css"] })) {
  manifest[name] = hashed(name, contents);
  files.set(manifest[name], contents);
}

mkdirSync(output, { recursive: true });
for (const name of readdirSync(output)) if (name !== ".gitignore") rmSync(join(output, name));
for (const [name, contents] of files) {
  writeFileSync(join(output, name), contents);
  writeFileSync(join(output, `${name}.gz`), gzipSync(contents, { level: 9 }));
}
// Last, because it announces the other files.
writeFileSync(join(output, "manifest.json"), JSON.stringify(manifest, null, 2) + "\n");
const total = [...files].map(([name]) => readFileSync(join(output, `${name}.gz`)).length).reduce((a, b) => a + b, 0);
process.stdout.write(`${files.size} files, ${Math.round(total / 1000)} kB compressed\n`);
