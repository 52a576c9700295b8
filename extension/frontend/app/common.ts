/** What several views share; `build.mjs` has each view import it. */

import "../forms/entry";
import "../forms/inputs";
import "../ui/copy";
import "../ui/list";
import "../ui/runs";
import "../ui/simple";
import "../ui/single";
import "../ui/values";
import "../ui/zones";
import "./paged";
