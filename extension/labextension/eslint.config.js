import shared from "../frontend/eslint.config.js";

export default [{ ignores: ["built"] }, ...shared];
