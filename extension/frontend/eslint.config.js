import tseslint from "typescript-eslint";

export default tseslint.config({ ignores: ["node_modules", "api/schema.d.ts"] }, ...tseslint.configs.recommended, {
  files: ["**/*.{ts,tsx}"],
  rules: {
    eqeqeq: "error",
    "no-console": "error",
    "no-restricted-globals": ["error", "name", "event", "status"],
    "no-restricted-imports": [
      "error",
      { name: "preact/hooks", importNames: ["useId"], message: "Use useId of ui/ids.ts: it counts per document." },
    ],
    "no-restricted-syntax": [
      "error",
      {
        selector: "JSXAttribute[name.name='dangerouslySetInnerHTML']",
        message: "Use SanitizedHtml of ui/html.tsx, the one place that creates trusted HTML.",
      },
    ],
  },
});
