"""The command group, and the one place that turns errors into exit codes.

Exit codes: 0 pass, 1 denied, not migrated, still held (or a step of the demo came out otherwise), 2 usage, input
or cluster, 130 interrupted.
"""

import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from webhook import __version__
from webhook.cli.audit.command import audit
from webhook.cli.certs import certs
from webhook.cli.demo import demo
from webhook.cli.doctor import doctor
from webhook.cli.hash import hash_command
from webhook.cli.migrate import migrate
from webhook.cli.process import controller, webhook
from webhook.cli.release import release
from webhook.cli.retry import retry
from webhook.cli.review import review
from webhook.cli.serve import serve
from webhook.cli.status import status
from webhook.errors import SchemagateError

BAD_INPUT = 2
INTERRUPTED = 130
_PLUGIN = "kubectl-schemagate"


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="schemagate")
def schemagate() -> None:
    """Let a Layer7 API Gateway roll out only after its database migration is complete.

    Start with `schemagate demo`. Exit codes: 0 pass, 1 denied or not migrated, 2 bad usage, input or cluster, 130
    interrupted.
    """


schemagate.add_command(demo)
schemagate.add_command(serve)
schemagate.add_command(webhook)
schemagate.add_command(controller)
schemagate.add_command(review)
schemagate.add_command(hash_command)
schemagate.add_command(migrate)
schemagate.add_command(retry)
schemagate.add_command(release)
schemagate.add_command(status)
schemagate.add_command(audit)
schemagate.add_command(certs)
schemagate.add_command(doctor)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and give the exit code."""
    # kubectl runs what is called kubectl-schemagate as its own `kubectl schemagate`.
    program = "kubectl schemagate" if Path(sys.argv[0]).stem == _PLUGIN else "schemagate"
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # an arrow must not fail where the terminal is ASCII
    try:
        code = schemagate.main(args=arguments, prog_name=program, standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return BAD_INPUT
    except click.Abort:
        return INTERRUPTED
    except SchemagateError as error:
        click.echo(f"{program}: {error}", err=True)
        return BAD_INPUT
    except SystemExit:  # click's way with a reader that went away
        return BAD_INPUT
    except OSError as error:
        click.echo(f"schemagate: cannot write the result: {error.strerror or error}", err=True)
        _drop_output()
        return BAD_INPUT
    return code if isinstance(code, int) else 0


def _drop_output() -> None:
    """Let what could not be written go nowhere, or the interpreter would try once more at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
