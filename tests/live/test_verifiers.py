"""Every certificate that we make, judged by who has to accept it: Go, as the API server has it, and OpenSSL."""

import shutil
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from certs import CertificateAuthority, KeyPair
from certs.situation import Requests
from tests.certs.rotations import POLICY, Rotation
from tests.controlplane import binaries

NAME, ADDRESS = "schemagate-webhook.schemagate.svc", "127.0.0.1"
DAY = timedelta(days=1)
NOW = datetime.now(UTC)


@dataclass(frozen=True)
class Case:
    """What a client trusts, what it is shown, and whom it asked for."""

    bundle: bytes
    chain: bytes
    name: str = NAME


def authority(name: str = "schemagate") -> CertificateAuthority:
    return CertificateAuthority.create(name, now=NOW, lifetime=365 * DAY)


def leaf(issuer: CertificateAuthority, now: datetime = NOW, lifetime: timedelta = DAY) -> KeyPair:
    names = [NAME, "schemagate-webhook"]
    return issuer.issue(names, now=now, lifetime=lifetime, ip_addresses=[IPv4Address(ADDRESS)])


def rotated() -> dict[str, Case]:
    """Every pair of bundle and leaf that meet while an authority is replaced, as the plan makes them."""
    world = Rotation(now=NOW)
    world.settle()
    met: set[tuple[bytes, bytes]] = set()

    def note() -> None:
        for pair in world.servers:
            met.update((bundle, pair.certificate_chain) for _, bundle in world.known() if pair is not None)

    note()
    for requests in (Requests(leaf=True), Requests(authority=True), Requests(prune=True)):
        world.requests = requests
        for _ in range(12):
            world.step(1)
            for server in range(len(world.servers)):
                world.notice(server)
            note()
            # The wall clock stays, since the verifiers go by that of this machine; what settles goes by another.
            world.clock += 61
    assert len({bundle for bundle, _ in met}) >= 3
    assert len({chain for _, chain in met}) >= 3
    name = POLICY.names.dns[-1]
    return {f"rotation {at}": Case(*pair, name) for at, pair in enumerate(sorted(met))}


OURS, OTHER = authority(), authority()
PAIR = leaf(OURS)
CHAIN = PAIR.certificate_chain
EITHER = OTHER.certificate_pem + OURS.certificate_pem
ACCEPTED = {
    "CA and leaf": Case(OURS.certificate_pem, CHAIN),
    "short name": Case(OURS.certificate_pem, CHAIN, "schemagate-webhook"),
    "address": Case(OURS.certificate_pem, CHAIN, ADDRESS),
    "two CAs, the new one first": Case(EITHER, CHAIN),
    "two CAs, the old one first": Case(OURS.certificate_pem + OTHER.certificate_pem, CHAIN),
    "leaf renewed by the same CA": Case(EITHER, leaf(OURS).certificate_chain),
    "leaf of the other CA": Case(EITHER, leaf(OTHER).certificate_chain),
    "chain with its CA": Case(EITHER, CHAIN + OURS.certificate_pem),
    "longest name of a CA": Case((long := authority("s" * 64)).certificate_pem, leaf(long).certificate_chain),
} | rotated()
REFUSED = {
    "wrong name": (
        Case(OURS.certificate_pem, CHAIN, "schemagate-webhook.elsewhere.svc"),
        "certificate is valid for",
        "hostname mismatch",
    ),
    "wrong address": (
        Case(OURS.certificate_pem, CHAIN, "127.0.0.2"),
        "certificate is valid for",
        "IP address mismatch",
    ),
    "other CA of the same name": (
        Case(OTHER.certificate_pem, CHAIN),
        "unknown authority",
        "unable to get local issuer",
    ),
    "other CA, its own in the chain": (
        Case(OTHER.certificate_pem, CHAIN + OURS.certificate_pem),
        "unknown authority",
        "self-signed certificate in certificate chain",
    ),
    "expired": (
        Case(
            OURS.certificate_pem, leaf(OURS, NOW - timedelta(minutes=30), timedelta(minutes=1)).certificate_chain
        ),
        "has expired",
        "certificate has expired",
    ),
}


def words(case: Case, folder: Path) -> tuple[str, str]:
    """Give what Go and OpenSSL object to, nothing where they accept."""
    bundle, chain = folder / "bundle.pem", folder / "chain.pem"
    bundle.write_bytes(case.bundle)
    chain.write_bytes(case.chain)
    go = subprocess.run(
        [binaries.paths()["verifier"], bundle, chain, case.name], capture_output=True, text=True, check=False
    )
    openssl = shutil.which("openssl")
    assert openssl, "this test asks OpenSSL's own program: put openssl on PATH (apt-get install openssl)"
    asked = "-verify_ip" if case.name[0].isdigit() else "-verify_hostname"
    trust = ["-no-CAfile", "-no-CApath", "-no-CAstore", "-trusted", str(bundle)]
    strictly = [openssl, "verify", "-x509_strict", "-purpose", "sslserver", asked, case.name]
    done = subprocess.run(
        [*strictly, *trust, "-untrusted", str(chain), str(chain)], capture_output=True, text=True, check=False
    )
    for program in (go, done):
        assert program.returncode in {0, 1, 2}, program
        assert bool(program.returncode) == bool(program.stderr), program
    return go.stderr, done.stderr


@pytest.mark.parametrize("case", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_what_we_make_is_accepted(case: Case, tmp_path: Path) -> None:
    assert words(case, tmp_path) == ("", "")


@pytest.mark.parametrize(("case", "go", "openssl"), REFUSED.values(), ids=REFUSED.keys())
def test_what_should_not_be_is_refused_for_that_reason(case: Case, go: str, openssl: str, tmp_path: Path) -> None:
    said = words(case, tmp_path)
    assert go in said[0]
    assert openssl in said[1]
