/** What several views share. Each view imports it, so that the bundler puts it into one file instead of a dozen. */

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
