/** The one Trusted Types policy of the front end. The page's policy allows no other, and no HTML or script from elsewhere. */

interface Policy {
  createHTML(html: string): string;
  createScriptURL(url: string): string;
}

interface Factory {
  createPolicy(name: string, rules: Policy): Policy;
}

const rules: Policy = {
  createHTML: (html) => html,
  createScriptURL: (url) => {
    if (new URL(url, location.href).origin !== location.origin)
      throw new TypeError("Scripts come from this server only.");
    return url;
  },
};
let policy: Policy | null = null;

function thePolicy(): Policy {
  const factory = (globalThis as { trustedTypes?: Factory }).trustedTypes;
  policy ??= factory ? factory.createPolicy("cloudo", rules) : rules;
  return policy;
}

/** Return HTML that the server has sanitised as trusted. Never pass it anything else. */
export const sanitisedByServer = (html: string): string => thePolicy().createHTML(html);

/** Return the URL of a script of this server as trusted. */
export const trustedUrl = (url: string): string => thePolicy().createScriptURL(url);
