"""What the doctor expects is what the manifests apply."""

import json

from tests.live.installation import NAMESPACE, manifests
from tests.support.diagnoses import MUTATING, VALIDATING
from webhook.admission.handlers import PATHS
from webhook.kube.certificates import secrets
from webhook.policy.diagnosis.expected import ACCOUNTS, EXCLUDED, FENCES, LEAF, NAMESPACE_LABEL, SERVICE, WEBHOOKS
from webhook.policy.diagnosis.fences import digests
from webhook.policy.diagnosis.processes import PROCESSES


def test_every_webhook_is_as_registered() -> None:
    registered = {
        hook["name"]: (kind, hook)
        for kind, item in (("mutating", MUTATING), ("validating", VALIDATING))
        for hook in item["webhooks"]
    }
    assert registered.keys() == WEBHOOKS.keys()
    for name, expected in WEBHOOKS.items():
        kind, hook = registered[name]
        assert expected.configuration == kind
        assert hook["clientConfig"]["service"]["path"] == expected.path
        assert hook["clientConfig"]["service"]["name"] == SERVICE
        assert hook["rules"] == [expected.rule]
        assert hook["failurePolicy"] == expected.failure_policy
        assert hook["timeoutSeconds"] == expected.seconds
        assert hook["sideEffects"] == expected.side_effects
        assert hook.get("reinvocationPolicy") == expected.reinvocation
        conditions = {item["name"]: " ".join(item["expression"].split()) for item in hook["matchConditions"]}
        assert conditions == dict(expected.conditions)
        (excluding,) = hook["namespaceSelector"]["matchExpressions"]
        assert excluding == {"key": NAMESPACE_LABEL, "operator": "NotIn", "values": [NAMESPACE, *EXCLUDED]}
    assert {expected.path for expected in WEBHOOKS.values()} == set(PATHS)


def test_every_fence_and_account_is_known() -> None:
    policies = [item for item in manifests() if item["kind"] == "ValidatingAdmissionPolicy"]
    assert {item["metadata"]["name"]: digests(item["spec"], NAMESPACE) for item in policies} == FENCES
    assert all(item["spec"]["failurePolicy"] == "Fail" for item in policies)
    accounts = [item["metadata"]["name"] for item in manifests() if item["kind"] == "ServiceAccount"]
    assert sorted(accounts) == sorted(ACCOUNTS)


def test_a_fence_is_the_same_in_every_namespace() -> None:
    for item in manifests("50-fence.yaml", "55-labels.yaml"):
        if item["kind"] == "ValidatingAdmissionPolicy":
            text = json.dumps(item["spec"])
            for ours, theirs in ((f":{NAMESPACE}:", ":gate-2:"), (f"['{NAMESPACE}', 'kube", "['gate-2', 'kube")):
                text = text.replace(ours, theirs)
            assert digests(json.loads(text), "gate-2") == FENCES[item["metadata"]["name"]]


def test_the_names_that_others_give_are_theirs() -> None:
    assert secrets.LEAF == LEAF
    deployments = [item["metadata"]["name"] for item in manifests() if item["kind"] == "Deployment"]
    assert sorted(deployments) == sorted(PROCESSES)
