"""Which rejections are believed: anybody may send a webhook a review of something invented."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.audit.rejections.test_ledger import rejected
from tests.support.builders import IMAGE, deployment
from webhook.audit.rejections.batch import BYTES, LIMIT, credible, decode, encode, portion, settling
from webhook.policy.objects import Deployment, view
from webhook.policy.record import Completion, Mode, Record, RecordStatus, RejectionDecision

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


THROUGH = [item for item in RejectionDecision if item is not RejectionDecision.DENIED]


@pytest.mark.parametrize("decision", THROUGH)
@pytest.mark.parametrize(
    ("to_image", "hash_", "generation", "believed"),
    [
        (IMAGE, "b" * 64, 2, True),
        (IMAGE, "b" * 64, None, False),
        ("gateway:refused-by-a-quota", "b" * 64, 2, False),
        ("gateway:moved-on-already", "a" * 64, 2, True),
    ],
)
def test_what_was_let_through_must_have_been_stored(
    decision: RejectionDecision, to_image: str, hash_: str, generation: int | None, believed: bool
) -> None:
    there = None if generation is None else stored(generation)
    told = replace(rejected(), decision=decision, to_image=to_image, hash=hash_, from_image="gateway:whatever")
    assert credible(told, RECORD, there) is believed


@pytest.mark.parametrize("decision", THROUGH)
@pytest.mark.parametrize(
    ("from_image", "to_image", "believed"),
    [("gateway:done", "", True), ("gateway:never-ran", "", False), ("gateway:done", IMAGE, False)],
)
def test_a_gateway_that_lost_its_container_is_none_that_is_known(
    decision: RejectionDecision, from_image: str, to_image: str, believed: bool
) -> None:
    told = replace(rejected(), decision=decision, from_image=from_image, to_image=to_image, hash="")
    assert credible(told, RECORD, None) is believed


@pytest.mark.parametrize("decision", THROUGH)
def test_what_is_let_through_is_waited_for_until_something_later_is_stored(decision: RejectionDecision) -> None:
    first, second = (replace(rejected(seconds=at), decision=decision, user=f"user-{at}") for at in (1, 2))
    assert settling([first], [])
    assert settling([first, second], [first])
    assert not settling([first, second], [second])
    assert not settling([first, second], [first, second])


@pytest.mark.parametrize("decision", [None, RejectionDecision.DENIED])
def test_what_is_turned_away_is_never_stored_and_so_not_waited_for(decision: RejectionDecision | None) -> None:
    assert not settling([replace(rejected(), decision=decision)], [])


def test_a_batch_is_read_as_it_was_written() -> None:
    told = replace(
        rejected(),
        groups=("sre",),
        mode=Mode.WARN,
        decision=RejectionDecision.BYPASSED,
        bypass_reason="outage",
    )
    assert decode(encode([told, rejected()])) == (told, rejected())


def test_what_a_replica_without_the_newer_fields_wrote_is_read() -> None:
    old = encode([rejected()])
    for newer in (',"groups":[]', ',"mode":null', ',"decision":null', ',"bypass_reason":""'):
        assert newer in old
        old = old.replace(newer, "")
    assert decode(old) == (rejected(),)


@pytest.mark.parametrize("text", ["x", "x" * 10_000, "é" * 10_000, '"\\' * 5000, "\U0001f512" * 10_000])
def test_a_batch_keeps_to_its_size_whatever_its_texts(text: str) -> None:
    hostile = [
        replace(rejected(f"{number}{text}", user=text), from_image=text, to_image=text, groups=(text,) * 9)
        for number in range(LIMIT + 1)
    ]
    size = portion(hostile)
    assert 1 <= size <= LIMIT
    written = encode(hostile[:size])
    assert len(written.encode()) <= BYTES
    assert len(decode(written)) == size
    if size < LIMIT:
        assert len(encode(hostile[: size + 1]).encode()) > BYTES


def test_nothing_is_a_portion_of_nothing() -> None:
    assert portion([]) == 0
