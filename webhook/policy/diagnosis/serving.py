"""Would the API server reach the webhooks: Service, certificate, CA bundles, and a request that tries it."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from webhook.policy.diagnosis.expected import LEAF, SERVICE
from webhook.policy.diagnosis.facts import Certificate, Facts, Manifest
from webhook.policy.diagnosis.line import (
    Check,
    Line,
    Unread,
    fail,
    first_unread,
    named,
    ok,
    unclear,
    unknown,
    warn,
)
from webhook.policy.diagnosis.registration import webhooks
from webhook.policy.names import GROUP, INJECT

_OVERDUE = 6
"""A certificate is renewed when a third of its life is left; at a sixth nobody does it."""
_HTTPS = 443
_CALL = "failed calling webhook"
_DENIED = f'.{GROUP}" denied the request'


def check_service(facts: Facts) -> list[Line]:
    """Look for a Service with ready endpoints on the port that is registered."""
    service, slices, registrations = facts.service, facts.slices, facts.registrations
    if isinstance(service, Unread) or isinstance(slices, Unread) or isinstance(registrations, Unread):
        unread = first_unread(service, slices, registrations)
        return [unknown(Check.SERVICE, "whether the Service leads to a ready webhook", unread)]
    configs = [hook["clientConfig"] for hook in webhooks(registrations).values()]
    used = [config["service"] for config in configs if config.get("service")]
    by_url = bool(configs) and not used
    if by_url and service is None:
        return [ok(Check.SERVICE, "the webhooks are registered by URL, and there is no Service")]
    problem = _problem(facts.namespace, service, slices, used)
    if problem is None:
        return [ok(Check.SERVICE, f"Service {SERVICE} leads to {named(_ready(slices))}")]
    if by_url:
        return [
            warn(Check.SERVICE, f"{problem[0]}; the webhooks are registered by URL and do without", problem[1])
        ]
    return [fail(Check.SERVICE, *problem)]


def _problem(
    namespace: str, service: Manifest | None, slices: Sequence[Manifest], used: Sequence[Manifest]
) -> tuple[str, str] | None:
    """Say what is wrong between registration and pods, and what to do; None when nothing is."""
    for registered in used:
        where = f"{registered.get('namespace')}/{registered.get('name')}"
        if where != f"{namespace}/{SERVICE}":
            said = f"the webhooks are registered on Service {where}, not {namespace}/{SERVICE}"
            return said, "apply the webhook configurations again, or name the right namespace: -n"
    if service is None:
        return f"there is no Service {SERVICE} in namespace {namespace}", "apply the manifests again"
    ready = _ready(slices)
    if not ready:
        command = f"kubectl -n {namespace} get pods -l app.kubernetes.io/component=webhook"
        return f"Service {SERVICE} has no ready endpoint", f"see why no webhook is ready: {command}"
    ports = {port["port"]: port.get("name") or "" for port in service["spec"].get("ports") or ()}
    behind = {port.get("name") or "" for each in slices for port in each.get("ports") or ()}
    for wanted in sorted({registered.get("port", _HTTPS) for registered in used} or {_HTTPS}):
        if wanted not in ports:
            return f"Service {SERVICE} has no port {wanted}, which is registered", "apply the Service again"
        if ports[wanted] not in behind:
            said = f"no pod behind Service {SERVICE} has the port that its port {wanted} targets"
            return said, "compare targetPort with the names of the container's ports"
    return None


def _ready(slices: Sequence[Manifest]) -> list[str]:
    """Name what is ready: the pods, or the addresses of what is no pod."""
    found = {
        (endpoint.get("targetRef") or {}).get("name") or ",".join(endpoint.get("addresses") or ())
        for each in slices
        for endpoint in each.get("endpoints") or ()
        # Not told counts as ready (EndpointConditions of discovery.k8s.io/v1).
        if (endpoint.get("conditions") or {}).get("ready") is not False
    }
    return sorted(found)


def check_certificate(facts: Facts) -> list[Line]:
    """Look at the dates and names of what the webhooks show."""
    held = facts.certificate
    if isinstance(held, Unread):
        return [unknown(Check.CERTIFICATE, "what the webhooks show", held)]
    lines = list(_certificate(facts, held))
    end = held.end.strftime("%Y-%m-%d %H:%M UTC") if held.end else ""
    names = ", for every registered name" if _hosts(facts) else ""
    return lines or [ok(Check.CERTIFICATE, f"Secret {held.secret}: valid until {end}{names}")]


def _certificate(facts: Facts, held: Certificate) -> Iterator[Line]:
    # What the controller did not make it does not renew.
    describe = f"kubectl -n {facts.namespace} describe certificate"
    rotate = f"schemagate certs rotate -n {facts.namespace}"
    ours = held.secret == LEAF
    if held.problem or held.start is None or held.end is None:
        said = f"Secret {held.secret} gives no certificate, {held.problem or 'it holds none'}"
        advice = "see that a controller leads: it makes one" if ours else f"see why it is not issued: {describe}"
        yield fail(Check.CERTIFICATE, said, advice)
        return
    now = facts.server_time
    if not held.start <= now <= held.end:
        said = f"Secret {held.secret} is valid from {_day(held.start)} to {_day(held.end)}, and it is {_day(now)}"
        yield fail(Check.CERTIFICATE, said, f"have it renewed: {rotate if ours else describe}")
    elif held.end - now < (held.end - held.start) / _OVERDUE:
        left = int((held.end - now) / timedelta(hours=1))
        said = f"Secret {held.secret} ends in {left} h, and nobody has renewed it"
        show = f"see who should: schemagate certs show -n {facts.namespace}; or {rotate}"
        yield warn(Check.CERTIFICATE, said, show if ours else f"see why it is not renewed: {describe}")
    if missing := sorted(host for host in _hosts(facts) if not any(_certifies(name, host) for name in held.names)):
        said = f"Secret {held.secret} is not valid for {named(missing)}, by which the webhooks are registered"
        advice = "set SCHEMAGATE_CERTIFICATE_NAMES" if ours else f"set the dnsNames of the Certificate: {describe}"
        yield fail(Check.CERTIFICATE, said, advice)


def _hosts(facts: Facts) -> set[str]:
    """Give the names that the webhooks are registered by, none where that could not be read."""
    registrations = {} if isinstance(facts.registrations, Unread) else webhooks(facts.registrations)
    return {host for hook in registrations.values() if (host := _host(hook["clientConfig"]))}


def _day(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M")


def _host(config: Manifest) -> str:
    """Give the name that the API server expects of the certificate."""
    service = config.get("service")
    if service:
        return f"{service['name']}.{service['namespace']}.svc"
    return urlsplit(config.get("url") or "").hostname or ""


def _certifies(name: str, host: str) -> bool:
    return name == host or (name.startswith("*.") and name[2:] == host.partition(".")[2])


def _injected(registrations: Mapping[str, Manifest | None]) -> list[str]:
    """Name the annotations by which cert-manager's injector is asked to write the CA bundles."""
    held = [(each["metadata"].get("annotations") or {}) for each in registrations.values() if each]
    return sorted({key for annotations in held for key in annotations if key.startswith(INJECT)})


def check_bundles(facts: Facts) -> list[Line]:
    """Say which webhooks hold a CA bundle that does not verify what they are shown."""
    held, registrations = facts.certificate, facts.registrations
    if isinstance(held, Unread) or isinstance(registrations, Unread):
        unread = first_unread(held, registrations)
        return [unknown(Check.CA_BUNDLE, "whether the CA bundles verify the certificate", unread)]
    if held.problem or not held.verified:
        said = "there is no certificate" if held.problem else "no webhook is registered"
        return [unclear(Check.CA_BUNDLE, f"no CA bundle can be tried: {said}", "mend that first: see above")]
    refusing = sorted(name for name, verified in held.verified.items() if not verified)
    if refusing:
        said = f"the CA bundle of {named(refusing)} does not verify Secret {held.secret}"
        advice = (
            "see that a controller leads and may patch the configurations, or that cert-manager injects the CA"
        )
        if held.secret == LEAF and (left := _injected(registrations)):
            # The controller does not touch what an injector is asked to write.
            advice = f"take the annotation {named(left)} off both configurations: certificates are self-managed"
        return [fail(Check.CA_BUNDLE, said, advice)]
    return [ok(Check.CA_BUNDLE, f"{len(held.verified)} CA bundles verify the certificate")]


def check_canary(facts: Facts) -> list[Line]:
    """Say what became of a request that schemagate has something to say about."""
    canary = facts.canary
    if isinstance(canary, Unread):
        return [unknown(Check.CANARY, "whether a request reaches schemagate", canary)]
    logs = f"kubectl -n {facts.namespace} logs -l app.kubernetes.io/component=webhook"
    if canary.refusal:
        told = f"a dry run in namespace {canary.namespace} was answered: {canary.refusal}"
        if _CALL in canary.refusal and f".{GROUP}" in canary.refusal:
            return [fail(Check.CANARY, told, f"mend what the API server says; what the webhooks say: {logs}")]
        if _DENIED in canary.refusal:
            return [
                warn(Check.CANARY, told, "schemagate decides, but not as this version: update what is installed")
            ]
        return [unclear(Check.CANARY, told, "something else stops it: name another namespace, --canary-namespace")]
    if any(canary.version in said and said.startswith("schemagate:") for said in canary.warnings):
        said = f"a dry run in namespace {canary.namespace} was put to schemagate, which decided"
        return [ok(Check.CANARY, said)]
    said = f"a dry run in namespace {canary.namespace} went through without schemagate being asked"
    return [fail(Check.CANARY, said, "see Webhooks above; the API server may take some seconds to load a change")]
