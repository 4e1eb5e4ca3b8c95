"""What the command line says of its arguments and examples."""

from collections.abc import Iterator

import click
import pytest

from tests.docs.commands_page import helps
from webhook.cli.main import schemagate


def arguments(command: click.Command) -> Iterator[tuple[click.Command, click.Argument]]:
    """Give the arguments of a command and of all below it."""
    for param in command.params:
        if isinstance(param, click.Argument):
            yield command, param
    for below in getattr(command, "commands", {}).values():
        yield from arguments(below)


@pytest.mark.parametrize(("command", "argument"), [*arguments(schemagate)], ids=lambda each: each.name)
def test_an_argument_that_may_be_left_out_says_so(command: click.Command, argument: click.Argument) -> None:
    (told,) = command.collect_usage_pieces(click.Context(command))[1:]
    assert told.startswith("[") != argument.required, told


@pytest.mark.parametrize(("name", "text"), [*helps()], ids=lambda each: each.partition("\n")[0])
def test_gateways_are_named_so_that_kubectl_finds_ours(name: str, text: str) -> None:
    said = " ".join(text.split())
    if "kubectl get" in said:
        assert "gateways.security.brcmlabs.com" in said, name
        assert ("deploy,pods," in said) == (name.startswith("schemagate audit") and "rejections" not in name), name
