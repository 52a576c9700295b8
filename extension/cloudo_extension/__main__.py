"""`python -m cloudo_extension`: print the OpenAPI document of a server at the root of its host."""

from __future__ import annotations

import json
import sys

from cloudo_extension.http.openapi import document
from cloudo_extension.rest import routes

if __name__ == "__main__":
    json.dump(document(routes, base_url="/"), sys.stdout, indent=1, ensure_ascii=False)
    sys.stdout.write("\n")
