"""A command is a click command. `session.registry` holds all that is registered."""

import click

import zoo


@click.command("best-epoch")
@click.argument("run", type=click.Path(exists=True))
@click.pass_obj
def best_epoch(session, run):
    """Print the best epoch of a run."""
    click.echo(zoo.load(run, registry=session.registry).run.record.best_epoch)
