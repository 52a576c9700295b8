"""`cloudo db`: check, upgrade and copy the database of the store, without a server."""

from __future__ import annotations

import click

from cloudo_kernel.cli.target import Target, pass_target, target_options


@click.group()
@target_options
def db() -> None:
    """Check, upgrade and copy the database.

    These commands use the database itself, CLOUDO_DATABASE_URL or the workspace's.

    \b
    cloudo db check
    cloudo db upgrade
    cloudo db copy sqlite:///work/.cloudo/cloudo.sqlite postgresql+psycopg://ada@host/cloudo
    """


@db.command()
@pass_target
def check(target: Target) -> None:
    """Check that this version of Cloudo can use the database, and that the key of its secrets is there."""
    from cloudo_kernel.store import transfer

    workspace = target.folder()
    transfer.check(workspace.database_url)
    transfer.check_key(workspace.database_url, workspace.key_file)
    click.echo("The database can be used.")


@db.command()
@pass_target
def upgrade(target: Target) -> None:
    """Bring the tables to this version of Cloudo.

    Stop all servers and workers first, and make a backup. A new database gets its tables.
    """
    from cloudo_kernel.store import transfer

    transfer.upgrade(target.folder().database_url)
    click.echo("The database is up to date.")


@db.command()
@click.argument("source", metavar="FROM")
@click.argument("goal", metavar="TO")
def copy(source: str, goal: str) -> None:
    """Copy the store FROM one database TO another, empty one.

    Stop all servers and workers first. Both are URLs, such as sqlite:///PATH. Executed notebooks and the key file stay
    in the workspace.
    """
    from cloudo_kernel.store import transfer

    number = transfer.copy(source, goal)
    click.echo(f"Copied the store with {number} executions. Set CLOUDO_DATABASE_URL to the new database.")
