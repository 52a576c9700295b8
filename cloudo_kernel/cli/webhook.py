"""`cloudo webhooks` and `cloudo webhook`: list, create, change and delete webhooks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TextIO

import click

from cloudo_kernel.cli import display
from cloudo_kernel.cli.target import Target, json_option, target_options

if TYPE_CHECKING:
    from cloudo_kernel.api import Api
    from cloudo_kernel.models import Delivery, Webhook

#: The values of `SignatureScheme`, repeated because its import would slow down every command.
SCHEMES = (
    *("standard-webhooks", "github", "gitlab", "stripe", "slack", "shopify"),
    *("paddle", "hubspot", "square", "meta", "dropbox", "hmac-sha256"),
)


@click.command()
@json_option("the webhooks")
@target_options
@click.pass_obj
def webhooks(target: Target, *, as_json: bool) -> None:
    """List the webhooks.

    They are public names under which an HTTP call starts a flow.

    `cloudo webhook create` makes one.

    \b
    cloudo webhooks
    cloudo webhooks --json
    """
    api = target.connect()
    found: list[Webhook] = []
    page = api.webhooks()
    found += page.items
    while page.next is not None:
        page = api.webhooks(cursor=page.next)
        found += page.items
    if as_json:
        display.print_json(found)
    elif found:
        click.echo(display.table(("NAME", "FLOW", "FOR", "PROOF", "STATE"), [_row(webhook) for webhook in found]))
    else:
        click.echo("There are no webhooks. `cloudo webhook create NAME --flow FLOW` makes one.")


@click.group()
def webhook() -> None:
    """Make, look at, switch and delete one webhook.

    \b
    cloudo webhook create deploy --flow examples/on_push --signature github
    cloudo webhook create orders --flow orders --key-from secret.txt
    cloudo webhook deliveries deploy
    cloudo webhook disable deploy
    cloudo webhook delete deploy
    """


@webhook.command()
@click.argument("name")
@click.option("--flow", "flow_name", required=True, metavar="FLOW", help="What a call starts.")
@click.option("--user", "user_name", metavar="NAME", help="For whom it runs, if you are an administrator.")
@click.option("--signature", type=click.Choice(SCHEMES), help="The sender that signs its calls.  [default: a key]")
@click.option("--signature-header", metavar="HEADER", help="Where the signature of hmac-sha256 is.")
@click.option("--signed-content", metavar="TEXT", help="What is signed, such as '{timestamp}.{body}'.")
@click.option("--timestamp-header", metavar="HEADER", help="Where its time is, if not beside it.")
@click.option("--public-url", metavar="URL", help="The address that the sender calls, if it signs that.")
@click.option("--delivery-id", metavar="PLACE", help="The header or JSON path ($.id) that tells repeated deliveries.")
@click.option("--challenge-parameter", metavar="NAME", help="The query parameter to echo to an unsigned GET.")
@click.option("--key-header", metavar="HEADER", help="Where the key may be shown.  [default: X-Cloudo-Key]")
@click.option("--key-from", type=click.File(), metavar="FILE", help="Take the key from a file; - is standard input.")
@click.option("--no-key", is_flag=True, help="Let anybody call it.")
@click.option("--method", "methods", multiple=True, type=click.Choice(("GET", "POST")), help="Take this one only.")
@click.option("--network", "networks", multiple=True, metavar="CIDR", help="Take calls from here only.")
@click.option("--origin", "origins", multiple=True, metavar="ORIGIN", help="Let pages of this origin call it.")
@click.option(
    "--sync-timeout", "sync_timeout_seconds", type=float, metavar="SECONDS", help="Wait this long for the end."
)
@click.option("--raw", is_flag=True, help="Give the flow the bytes of each body, too.")
@json_option("the webhook, with its url and key,")
@target_options
@click.pass_obj
def create(
    target: Target, /, name: str, *, key_from: TextIO | None, no_key: bool, as_json: bool, **fields: Any
) -> None:
    """Make a webhook, and print its address and its key: this once.

    A key is created unless one comes with --key-from. Senders that issue their own secret, such as Stripe or Slack,
    need --key-from.
    """
    from pydantic import ValidationError

    from cloudo_kernel.models import CreateWebhook, malformed
    from cloudo_kernel.models.senders import issues_key
    from cloudo_kernel.webhooks.signatures import new_key

    if key_from is None and issues_key(fields["signature"]):
        raise click.UsageError(f"{fields['signature']} issues the secret itself. Give it with --key-from.")
    if no_key and (key_from or fields["signature"]):
        raise click.UsageError("--no-key goes neither with --key-from nor with --signature.")
    key = None if no_key else key_from.read().strip() if key_from else new_key(fields["signature"])
    if key == "":
        raise click.UsageError("The file of --key-from is empty. For a webhook that anyone can call, use --no-key.")
    for option in ("methods", "networks", "origins"):
        fields[f"allowed_{option}"] = fields.pop(option)
    given = {
        field: value for field, value in fields.items() if value is not None and value is not False and value != ()
    }
    given |= {"key": key} if key else {}
    try:
        request = CreateWebhook.model_validate({"name": name, **given})
    except ValidationError as error:
        raise click.UsageError(str(malformed(error))) from error
    api = target.connect()
    made = api.create_webhook(request)
    if as_json:
        _print_with_key(made, _url(api, name), key)
        return
    click.echo(f"URL  {_url(api, name)}")
    if key is not None:
        click.echo(f"Key  {key}")
        click.echo("The key is shown this once; whoever calls needs it.", err=True)


@webhook.command()
@click.argument("name")
@json_option("the webhook")
@target_options
@click.pass_obj
def show(target: Target, name: str, *, as_json: bool) -> None:
    """Show what is known of a webhook, but not its key."""
    api = target.connect()
    found = api.webhook(name)
    if as_json:
        display.print_json(found)
        return
    shown = {"url": _url(api, name), **found.model_dump(mode="json", exclude={"name"})}
    for field, value in shown.items():
        if value not in (None, [], {}):
            click.echo(f"{field:<22}{display.value(value)}")


@webhook.command()
@click.argument("name")
@click.option("-n", "limit", type=click.IntRange(1, 500), default=20, show_default=True, help="So many at most.")
@json_option("the deliveries")
@target_options
@click.pass_obj
def deliveries(target: Target, name: str, *, limit: int, as_json: bool) -> None:
    """List the calls of a webhook, newest first, with what became of them."""
    found = target.connect().deliveries(name, limit=limit).items
    if as_json:
        display.print_json(found)
    elif found:
        heads = ("ID", "RECEIVED", "FROM", "STATUS", "EXECUTION", "REASON")
        click.echo(display.table(heads, [_delivery(delivery) for delivery in found]))
    else:
        click.echo("Nobody has called it yet.")


@webhook.command()
@click.argument("name")
@click.argument("delivery_id", metavar="DELIVERY")
@json_option("the execution")
@target_options
@click.pass_obj
def replay(target: Target, name: str, delivery_id: str, *, as_json: bool) -> None:
    """Start again what a delivery started, with the same inputs."""
    started = target.connect(keep_running=True).replay_delivery(name, delivery_id)
    if as_json:
        display.print_json(started)
    else:
        click.echo(f"Started {display.clean(started.name)} as {started.id}.")


@webhook.command()
@click.argument("name")
@target_options
@click.pass_obj
def enable(target: Target, name: str) -> None:
    """Take calls again."""
    _switch(target, name, enabled=True)


@webhook.command()
@click.argument("name")
@target_options
@click.pass_obj
def disable(target: Target, name: str) -> None:
    """Take no calls until it is enabled again: callers get 404."""
    _switch(target, name, enabled=False)


@webhook.command()
@click.argument("name")
@target_options
@click.pass_obj
def delete(target: Target, name: str) -> None:
    """Delete a webhook and its deliveries; its executions stay."""
    target.connect().delete_webhook(name)
    click.echo(f"{display.clean(name)} is deleted.")


def _switch(target: Target, name: str, *, enabled: bool) -> None:
    from cloudo_kernel.models import ChangeWebhook

    target.connect().change_webhook(name, ChangeWebhook(enabled=enabled))
    click.echo(f"{display.clean(name)} is {'enabled' if enabled else 'disabled'}.")


def _url(api: Api, name: str) -> str:
    """Return the URL to call, with a placeholder for the server if the `Api` has no URL."""
    return f"{getattr(api, 'url', '<the server>/')}cloudo/webhook/{name}"


def _print_with_key(made: Webhook, url: str, key: str | None) -> None:
    import json

    record = {**made.model_dump(mode="json"), "url": url, "key": key}
    click.echo(json.dumps(record, ensure_ascii=False, indent=2).encode())


def _row(webhook: Webhook) -> tuple[str, ...]:
    proof = webhook.signature or ("key" if webhook.has_key else "none")
    state = "enabled" if webhook.enabled else click.style("disabled", fg="yellow")
    return webhook.name, display.clean(webhook.flow_name), display.value(webhook.user_name, limit=30), proof, state


def _delivery(delivery: Delivery) -> tuple[str, ...]:
    execution = "" if delivery.execution_id is None else display.short_id(delivery.execution_id)
    status = "" if delivery.status_code is None else str(delivery.status_code)
    reason = display.value(delivery.reason or "")
    return delivery.id, display.ago(delivery.received_at), delivery.source_ip, status, execution, reason
