"""``schemagate certs``: the certificates that the controller keeps; how to ask for new ones. No key is shown."""

import asyncio
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from webhook.cli.flags import cluster_options
from webhook.cli.output import emit, format_option, table
from webhook.errors import NotFoundError
from webhook.policy.names import PRODUCT, ROTATE, ROTATED

if TYPE_CHECKING:
    from webhook.cli.live import LiveCluster

_HEAD = ("KIND", "NAME", "ENDS", "RENEWAL", "STATE")
_GOOD = ("valid", "in sync")
_LOOK_SECONDS = 1.0
_FAILED = 1
_own_namespace = click.option(
    "-n", "--namespace", default=PRODUCT, show_default=True, help="Namespace that schemagate is installed in."
)


@click.group()
def certs() -> None:
    """Show or renew the certificates that the controller keeps."""


@certs.command()
@cluster_options
@_own_namespace
@format_option
def show(kubeconfig: Path | None, context: str | None, namespace: str, output: str) -> int:
    """Show chain, end and next renewal of the certificates, and whether each webhook accepts them.

    Exit code 1 when a webhook does not. Reads the Secret schemagate-webhook-tls and both webhook configurations.

    Example: schemagate certs show -o json
    """
    # Imported here: commands without a cluster need not wait for the Kubernetes client to load.
    from webhook.cli.live import Where, ask

    return ask(Where(kubeconfig, context, namespace), lambda cluster, where: shown(cluster, where, output))


@certs.command()
@cluster_options
@_own_namespace
@click.option("--leaf", "what", flag_value="leaf", default="leaf", help="What the webhooks show.  [default]")
@click.option("--ca", "what", flag_value="ca", help="The authority; its leaf follows once every webhook holds it.")
@click.option("--wait", is_flag=True, help="Wait until it is done.")
@click.option("--timeout", type=click.IntRange(min=1), default=300, show_default=True, help="Seconds to wait.")
def rotate(
    kubeconfig: Path | None, context: str | None, namespace: str, what: str, *, wait: bool, timeout: int
) -> int:
    """Ask the controller for a new certificate. No call to a webhook fails meanwhile.

    Exit code 1 when --wait ends before it is done.

    Example: schemagate certs rotate --ca --wait
    """
    from webhook.cli.live import Where, ask  # as above

    seconds = timeout if wait else None
    return ask(
        Where(kubeconfig, context, namespace), lambda cluster, where: rotated(cluster, where, what, seconds)
    )


async def shown(cluster: "LiveCluster", namespace: str, output: str) -> int:
    """Print what there is, and give the exit code."""
    found = await _described(cluster, namespace)
    emit(output, found, lambda: table(_HEAD, [[str(row[cell.lower()]) for cell in _HEAD] for row in found]))
    return _FAILED if any(row["state"] not in _GOOD for row in found) else 0


async def rotated(cluster: "LiveCluster", namespace: str, what: str, seconds: float | None) -> int:
    """Ask for a new leaf or CA, wait so long if at all, and give the exit code."""
    from webhook.kube.certificates.secrets import AUTHORITY, LEAF, SECRETS  # late, as above

    name, token = (AUTHORITY if what == "ca" else LEAF), str(uuid.uuid4())
    await cluster.annotate(SECRETS, namespace, name, {ROTATE: token})
    click.echo(f"asked the controller for a new {'CA' if what == 'ca' else 'leaf'}", err=True)
    if seconds is None:
        return 0
    try:
        async with asyncio.timeout(seconds):
            while not await _done(cluster, namespace, name, token):  # noqa: ASYNC110 # nobody here to be told by
                await asyncio.sleep(_LOOK_SECONDS)
    except TimeoutError:
        click.echo(f"not done in {seconds:g} s; see `schemagate certs show`", err=True)
        return _FAILED
    click.echo("done", err=True)
    return 0


async def _described(cluster: "LiveCluster", namespace: str) -> list[Mapping[str, Any]]:
    """Give a row for every certificate and every webhook of ours."""
    from certs.bundle import certificates, encoded, fingerprint, leaf_of, valid, verifies
    from certs.pair import KeyPair
    from certs.renewal import Reason, renew_at
    from webhook.kube.certificates.keeper import leaf_in
    from webhook.kube.certificates.registrations import KINDS, NAME, read
    from webhook.kube.certificates.secrets import LEAF, SECRETS, read_secret
    from webhook.kube.certificates.settings import own_of
    from webhook.settings import read_settings

    raw = await cluster.raw(SECRETS, namespace, LEAF)
    if raw is None:
        raise NotFoundError(f"there is no Secret {LEAF} in namespace {namespace}: does a controller run there?")
    secret, now = read_secret(raw), datetime.now(UTC)
    bundle, leaf = secret.data.get("ca.crt", b""), leaf_in(secret)
    rows: list[Mapping[str, Any]] = []
    if isinstance(leaf, Reason):
        rows.append({"kind": "leaf", "name": LEAF, "ends": "", "renewal": "", "state": leaf.value})
    else:
        rows.append(_row("leaf", ",".join(leaf.dns_names), leaf_of(leaf), now, renew_at(leaf)))
    for authority in certificates(bundle):
        issues = isinstance(leaf, KeyPair) and verifies(encoded([authority]), leaf, now)
        name = f"{authority.subject.rfc4514_string()} {fingerprint(authority)[:16]}"
        row = _row("ca", name, authority, now, None)
        rows.append({**row, "issuer": issues} if valid(authority, now) else row)
    own = own_of(read_settings(), namespace)
    for kind, resource in KINDS.items():
        stored = await cluster.raw(resource, "", NAME)
        for name, held in (read(kind, own, stored).live() if stored else {}).items():
            accepts = isinstance(leaf, KeyPair) and verifies(held, leaf, now)
            state = "refuses the leaf" if not accepts else "in sync" if held == bundle else "another bundle"
            rows.append({"kind": "webhook", "name": name, "ends": "", "renewal": "", "state": state})
    return rows


def _row(kind: str, name: str, certificate: Any, now: datetime, renewal: datetime | None) -> dict[str, Any]:
    end = certificate.not_valid_after_utc
    state = "valid" if certificate.not_valid_before_utc <= now <= end else "not valid now"
    return {
        "kind": kind,
        "name": name,
        "ends": end.isoformat(),
        "renewal": renewal.isoformat(timespec="seconds") if renewal else "",
        "state": state,
    }


async def _done(cluster: "LiveCluster", namespace: str, name: str, token: str) -> bool:
    """Tell whether the wish was fulfilled: noted, and every webhook accepts a leaf of what issues now."""
    from webhook.kube.certificates.secrets import LEAF, SECRETS, read_secret

    raw = await cluster.raw(SECRETS, namespace, name)
    if raw is None:
        return False
    secret = read_secret(raw)
    if secret.annotations.get(ROTATED) != token:
        return False
    if name == LEAF:
        return True
    stored = await cluster.raw(SECRETS, namespace, LEAF)
    if stored is None or "next.crt" in secret.data:
        return False
    return _issued(secret.data["ca.crt"], read_secret(stored).data)


def _issued(authority: bytes, leaf: Mapping[str, bytes]) -> bool:
    from certs.bundle import certificates, issued_by

    return issued_by(certificates(leaf["tls.crt"])[0], certificates(authority)[0])
