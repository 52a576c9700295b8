"""`cloudo webhooks` and `cloudo webhook`: list, create, change and delete webhooks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TextIO

import click

from cloudo_kernel.cli import display
from cloudo_kernel.cli.listing import limit_option, newest, print_list
from cloudo_kernel.cli.target import Target, json_option, pass_target

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
@pass_target
def webhooks(target: Target, *, as_json: bool) -> None:
    """List the webhooks.

    They are public names under which an HTTP call starts a flow. `cloudo webhook create` creates one.

    \b
    cloudo webhooks
    cloudo webhooks --json
    """
    found, _ = newest(target.connect().webhooks)
    empty = "There are no webhooks. `cloudo webhook create NAME --flow FLOW` creates one."
    print_list(found, ("NAME", "FLOW", "FOR", "PROOF", "STATE"), _row, empty=empty, as_json=as_json)


@click.group()
def webhook() -> None:
    """Create, show, enable, disable and delete one webhook.

    \b
    cloudo webhook create deploy --flow examples/on_push --signature github
    cloudo webhook create orders --flow orders --key-from secret.txt
    cloudo webhook deliveries deploy
    cloudo webhook disable deploy
    cloudo webhook delete deploy
    """


@webhook.command()
@click.argument("name")
@click.option("--flow", "flow_name", required=True, metavar="FLOW", help="The flow that a call starts.")
@click.option("--user", "user_name", metavar="NAME", help="The user that it runs as. Only for administrators.")
@click.option("--signature", type=click.Choice(SCHEMES), help="The sender that signs its calls.  [default: a key]")
@click.option("--signature-header", metavar="HEADER", help="The header with the signature of hmac-sha256.")
@click.option("--signed-content", metavar="TEXT", help="The signed content, such as '{timestamp}.{body}'.")
@click.option("--timestamp-header", metavar="HEADER", help="The header with the time of the signature, if it has one.")
@click.option("--public-url", metavar="URL", help="The URL that the sender calls, if it signs the URL.")
@click.option("--delivery-id", metavar="PLACE", help="The header or JSON path ($.id) of the delivery's id.")
@click.option("--challenge-parameter", metavar="NAME", help="The query parameter to echo to an unsigned GET.")
@click.option("--key-header", metavar="HEADER", help="The header that may hold the key.  [default: X-Cloudo-Key]")
@click.option("--key-from", type=click.File(), metavar="FILE", help="Read the key from a file; - is standard input.")
@click.option("--no-key", is_flag=True, help="Let anyone call it.")
@click.option(
    "--method",
    "methods",
    multiple=True,
    type=click.Choice(("GET", "POST")),
    help="Accept only this method.",
)
@click.option("--network", "networks", multiple=True, metavar="CIDR", help="Accept calls only from here.")
@click.option("--origin", "origins", multiple=True, metavar="ORIGIN", help="Let pages of this origin call it.")
@click.option(
    "--sync-timeout",
    "sync_timeout_seconds",
    type=float,
    metavar="SECONDS",
    help="Wait this long for the end.",
)
@click.option("--raw", is_flag=True, help="Pass the bytes of each body to the flow, too.")
@json_option("the webhook, with its url and key,")
@pass_target
def create(
    target: Target, /, name: str, *, key_from: TextIO | None, no_key: bool, as_json: bool, **fields: Any
) -> None:
    """Create a webhook, and print its URL and its key. The key is shown only once.

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
        raise click.UsageError("--no-key cannot be combined with --key-from or --signature.")
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
        click.echo("The key is shown only this once. Callers need it.", err=True)


@webhook.command()
@click.argument("name")
@json_option("the webhook")
@pass_target
def show(target: Target, name: str, *, as_json: bool) -> None:
    """Show a webhook in full, without its key."""
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
@limit_option(20, maximum=500)
@json_option("the deliveries")
@pass_target
def deliveries(target: Target, name: str, *, limit: int, as_json: bool) -> None:
    """List the calls of a webhook, newest first, with their outcomes."""
    found = target.connect().deliveries(name, limit=limit).items
    heads = ("ID", "RECEIVED", "FROM", "STATUS", "EXECUTION", "REASON")
    print_list(found, heads, _delivery, empty="It has not been called yet.", as_json=as_json)


@webhook.command()
@click.argument("name")
@click.argument("delivery_id", metavar="DELIVERY")
@json_option("the execution")
@pass_target
def replay(target: Target, name: str, delivery_id: str, *, as_json: bool) -> None:
    """Start the flow of a delivery again, with the same inputs."""
    started = target.connect(keep_running=True).replay_delivery(name, delivery_id)
    display.print_record(started, f"Started {display.clean(started.name)} as {started.id}.", as_json=as_json)


def _add_switch(name: str, explanation: str, *, enabled: bool) -> None:
    """Add the command that enables or disables a webhook."""

    @webhook.command(name=name, help=explanation)
    @click.argument("webhook_name", metavar="NAME")
    @pass_target
    def command(target: Target, webhook_name: str) -> None:
        from cloudo_kernel.models import ChangeWebhook

        target.connect().change_webhook(webhook_name, ChangeWebhook(enabled=enabled))
        click.echo(f"{display.clean(webhook_name)} is {name}d.")


_add_switch("enable", "Accept calls again.", enabled=True)
_add_switch("disable", "Accept no calls until it is enabled again: callers get 404.", enabled=False)


@webhook.command()
@click.argument("name")
@pass_target
def delete(target: Target, name: str) -> None:
    """Delete a webhook and its deliveries; its executions stay."""
    target.connect().delete_webhook(name)
    click.echo(f"{display.clean(name)} is deleted.")


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
