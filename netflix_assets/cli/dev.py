"""``dev``: what only a laptop needs."""

import click

from netflix_assets.cli.output import say, spinner
from netflix_assets.contracts.visibility import counted
from netflix_assets.settings import current_settings


@click.group()
def dev() -> None:
    """Serve sample databases and APIs."""


@dev.command()
@click.option(
    "--port", type=click.IntRange(1, 65535), show_default="a free one, then always the same", help="Port of the server."
)
@click.option("--scale", type=float, show_default="0.1", help="Size of the sample; 1 is 50,000 orders.")
@click.option("--seed", type=int, show_default="1", help="The same seed and scale give the same rows.")
@click.option(
    "--days", type=click.IntRange(1, 366), help="Play this many days of activity on the running server, then exit."
)
@click.option("--stop", is_flag=True, help="Stop the running server.")
def postgres(port: int | None, scale: float | None, seed: int | None, days: int | None, stop: bool) -> None:
    """Serve a PostgreSQL with three sample databases until Ctrl-C.

    crm, shop and finance are the databases of an invented streaming company. Their data is kept in
    $NETFLIX_HOME/postgres. Activity is orders, moves, corrections, deletions, and transactions that commit late.
    """
    from netflix_assets.dev import postgres as server
    from netflix_assets.dev.business.load import play_days
    from netflix_assets.dev.business.serve import serve

    folder = current_settings().home / "postgres"
    if days and stop:
        raise click.UsageError("pass either --days or --stop, not both")
    if stop:
        server.stop(server.running(folder))
        say("stopped")
    elif days:
        with spinner("playing activity"):
            _, last = play_days(server.running(folder), days)
        say(f"played {counted(days, 'day')} of activity; {last} since the sample was loaded")
    else:
        try:
            serve(folder, port, scale, seed, say)
        except ValueError as error:
            raise click.UsageError(str(error)) from error


@dev.command()
@click.option("--port", type=click.IntRange(1, 65535), default=8765, show_default=True, help="Port of the servers.")
def apis(port: int) -> None:
    """Serve three sample APIs until Ctrl-C: exchange rates, daily and hourly, and headlines.

    Their rates and headlines are invented and end on the last day of the sample databases.
    """
    from netflix_assets.dev.apis import serve_apis, variables_for
    from netflix_assets.dev.signals import stop_signal

    stopping = stop_signal()
    try:
        with serve_apis(port):
            for name, value in variables_for(port).items():
                say(f"export {name}={value}")
            say("Ctrl-C stops it")
            stopping.wait()
    except OSError as error:
        raise click.ClickException(
            f"port {port} cannot be used ({error.strerror}); choose another with --port"
        ) from error
