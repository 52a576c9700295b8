"""The widget that shows the whole front end."""

from __future__ import annotations

import traitlets

from cloudo_kernel.widgets.view import View


class Dashboard(View):
    """The whole dashboard, with its tabs.

    >>> from cloudo_kernel.widgets import Dashboard
    >>> Dashboard(view="executions")
    """

    #: The view that it opens with: `home`, `flows`, `executions`, `schedules`, `messages`, `webhooks`, `tokens`,
    #: `settings` or `workers`.
    view = traitlets.Unicode("flows").tag(sync=True)
    tabs = traitlets.Bool(True).tag(sync=True)
