/**
 * Parts of the dashboard that are fetched when they are needed first: what most readers never open costs them nothing.
 */

const fetched = new Map();

/** Run a part's module. `SHARED`, at the end of the joined script, has what the part imports from the modules there. */
async function importText(text) {
  const url = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
  try {
    const { default: part } = await import(url);
    return part(SHARED);
  } finally {
    URL.revokeObjectURL(url);
  }
}

/** Promise what the part `name` exports. After a failure the next call tries again. */
export function importLater(line, name) {
  if (!fetched.has(name)) {
    const coming = line.call("module", { name }).then(importText);
    coming.catch(() => fetched.delete(name));
    fetched.set(name, coming);
  }
  return fetched.get(name);
}
