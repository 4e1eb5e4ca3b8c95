"""Which rejections are believed: anybody may send a webhook a review of something invented."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.audit.test_ledger import rejected
from tests.support.builders import IMAGE, deployment
from webhook.audit.batch import credible
from webhook.policy.objects import Deployment, view
from webhook.policy.record import Completion, Record, RecordStatus

RECORD = Record(
    namespace="team-a",
    name="ssg",
    status=RecordStatus(completed_hashes=(Completion(hash="a" * 64, image="gateway:done"),)),
)


def stored(generation: int) -> Deployment:
    return view(Deployment, deployment(metadata={"generation": generation}))


@pytest.mark.parametrize(
    ("from_image", "generation", "believed"),
    [
        ("", None, True),
        ("", 1, True),
        ("", 2, False),
        (IMAGE, 2, True),
        (IMAGE, None, False),
        ("gateway:done", 2, True),
        ("gateway:done", None, True),
        ("gateway:other", 1, False),
    ],
)
def test_what_it_started_from_must_have_been_there(
    from_image: str, generation: int | None, believed: bool
) -> None:
    there = None if generation is None else stored(generation)
    assert credible(replace(rejected(), from_image=from_image), RECORD, there) is believed
