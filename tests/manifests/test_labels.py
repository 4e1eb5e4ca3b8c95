"""What the policy on namespaces knows of modes is what the code knows."""

import re

from tests.live.installation import manifests
from tests.manifests.test_webhooks import WEBHOOKS
from webhook.policy.names import ENFORCE, GROUP
from webhook.policy.record import Mode

POLICY, BINDING = manifests("55-labels.yaml")
VARIABLES = {item["name"]: item["expression"] for item in POLICY["spec"]["variables"]}


def test_every_mode_but_those_that_stop_is_named_as_weak() -> None:
    (listed,) = re.findall(r"in \[([^\]]*)\]", VARIABLES["stops"])
    weak = {word.strip().strip("'") for word in listed.split(",")}
    assert weak == {"", *(mode.lower() for mode in Mode)} - {Mode.REJECT.lower(), Mode.HOLD.lower()}


def test_it_is_about_the_label_and_the_verb_that_the_code_names() -> None:
    assert f"'{ENFORCE}'" in VARIABLES["before"]
    assert f"'{ENFORCE}'" in VARIABLES["after"]
    (rule,) = POLICY["spec"]["validations"]
    assert f"group('{GROUP}').resource('gatewaymigrations')" in rule["expression"]
    assert "check('weaken')" in rule["expression"]


def test_it_denies_and_fails_closed() -> None:
    assert POLICY["spec"]["failurePolicy"] == "Fail"
    assert BINDING["spec"] == {"policyName": POLICY["metadata"]["name"], "validationActions": ["Deny"]}


def test_no_webhook_is_switched_off_by_a_label_that_it_does_not_guard() -> None:
    keys = {
        item["key"] for hook in WEBHOOKS.values() for item in hook["namespaceSelector"].get("matchExpressions", ())
    }
    assert keys == {"kubernetes.io/metadata.name"}
    assert not any("matchLabels" in hook["namespaceSelector"] for hook in WEBHOOKS.values())
