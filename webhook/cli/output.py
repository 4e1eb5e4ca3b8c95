"""What commands print: tables for people, JSON and YAML for programs; results on stdout, all else on stderr."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import click
import msgspec
import yaml

from webhook.policy.decision import printable

FORMATS = ("table", "json", "yaml")
CELL_LIMIT = 300
F = TypeVar("F", bound=Callable[..., Any])

format_option = click.option(
    "-o",
    "--output",
    type=click.Choice(FORMATS),
    default="table",
    show_default=True,
    help="How to print the result.",
)


def objects_option(*, required: bool, pods: bool = False) -> Callable[[F], F]:
    """Give the option that names the cluster's objects; ``pods`` where they are judged as well."""
    # The full name of Gateways: other kinds are called so too, and kubectl would take one of those.
    kinds = f"ns,cm,deploy,{'pods,' if pods else ''}gateways.security.brcmlabs.com,gwm"
    return click.option(
        "--objects",
        "objects",
        metavar="PATH",
        multiple=True,
        required=required,
        help="File or folder with the cluster's objects as YAML or JSON, for instance the output of "
        f"`kubectl get {kinds} -A -o yaml`. May be given again.",
    )


namespace_option = click.option(
    "-n",
    "--namespace",
    help="Namespace of objects that name none, as what `helm template` prints.  [default: default]",
)


def table(head: Sequence[str], rows: Sequence[Sequence[str]], limit: int = CELL_LIMIT) -> str:
    """Lay out rows in columns, the last as wide as it likes; what cannot be printed is left out.

    ``limit`` is how much of a cell is shown, in characters.
    """
    rows = [[printable(cell, limit) for cell in row] for row in rows]
    widths = [max(len(row[at]) for row in (head, *rows)) for at in range(len(head) - 1)]
    return "\n".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]).rstrip()
        for row in (head, *rows)
    )


def emit(output: str, data: Sequence[Mapping[str, Any]], as_table: Callable[[], str]) -> None:
    """Print data in the format asked for; ``as_table`` lays it out for a person."""
    if output == "table":
        click.echo(as_table())
    elif output == "json":
        click.echo(msgspec.json.format(msgspec.json.encode(data), indent=2).decode())
    else:
        click.echo(yaml.safe_dump(msgspec.to_builtins(data), sort_keys=False, allow_unicode=True), nl=False)
