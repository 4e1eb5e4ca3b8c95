"""Taking rejections in: each batch once, into the records that it is about, and nothing that was made up."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.support import builders as make
from tests.support.builders import IMAGE, NEXT_IMAGE, NOW
from webhook.audit.rejections.rejection import Rejected
from webhook.controller.rejections import Taken, take_in
from webhook.embedded.writes import EmbeddedControllerCluster
from webhook.errors import ConflictError, UnreachableError
from webhook.policy.objects import Deployment
from webhook.policy.record import BATCHES_KEPT, Record, RecordStatus, RejectionDecision


class Stored(EmbeddedControllerCluster):
    """Keeps rejections as the real cluster does; can refuse to write, or to read a record."""

    def __init__(self) -> None:
        super().__init__()
        self.conflict = self.unreadable = False

    def record(self, namespace: str, name: str) -> Record | None:
        if self.unreadable and name == "ssg":
            raise UnreachableError("cannot be read")
        return super().record(namespace, name)

    async def write_status(self, record: Record, status: RecordStatus) -> Record:
        if self.conflict:
            raise ConflictError("changed")
        return Record.from_manifest(self.put(replace(record, status=status).to_manifest()))


def rejected(name: str = "ssg", **tweak: Any) -> Rejected:
    base = Rejected(
        namespace="team-a",
        name=name,
        hash="0" * 64,
        reason="MigrationPending",
        user="helm",
        from_image=IMAGE,
        to_image=NEXT_IMAGE,
        first=NOW,
        last=NOW + timedelta(seconds=5),
        times=3,
    )
    return replace(base, **tweak)


@pytest.fixture
def cluster() -> Stored:
    made = Stored()
    made.put(make.deployment())
    made.put(make.record())
    return made


def counted(cluster: Stored, name: str = "ssg") -> int:
    cluster.unreadable = False
    record = cluster.record("team-a", name)
    assert record is not None
    return record.status.rejections.count


def put_another(cluster: Stored) -> None:
    other = {"metadata": {"name": "other"}}
    cluster.put(make.merged(make.deployment(), other))
    cluster.put(make.merged(make.record(), other))


async def test_a_batch_counts_once_however_often_it_is_taken_in(cluster: Stored) -> None:
    assert await take_in(cluster, "uid-1", [rejected()]) == Taken()
    assert await take_in(cluster, "uid-1", [rejected()]) == Taken()
    assert counted(cluster) == 3
    assert await take_in(cluster, "uid-2", [rejected()]) == Taken()
    assert counted(cluster) == 6


async def test_a_record_remembers_the_newest_batches(cluster: Stored) -> None:
    for number in range(BATCHES_KEPT + 5):
        await take_in(cluster, f"uid-{number}", [rejected()])
    record = cluster.record("team-a", "ssg")
    assert record is not None
    assert len(record.status.rejections.folded) == BATCHES_KEPT
    assert record.status.rejections.folded[0] == f"uid-{BATCHES_KEPT + 4}"


@pytest.mark.parametrize("made_up", [{"name": "nobody"}, {"from_image": "gateway:never-ran"}])
async def test_what_fits_nothing_that_is_stored_is_left_out(cluster: Stored, made_up: dict[str, str]) -> None:
    assert await take_in(cluster, "uid-1", [rejected(**made_up), rejected()]) == Taken(left_out=1)
    assert counted(cluster) == 3


async def test_a_record_that_changed_meanwhile_is_told(cluster: Stored) -> None:
    cluster.conflict = True
    with pytest.raises(ConflictError):
        await take_in(cluster, "uid-1", [rejected()])
    cluster.conflict = False
    await take_in(cluster, "uid-1", [rejected()])
    assert counted(cluster) == 3


async def test_a_record_that_cannot_be_read_keeps_no_other_waiting(cluster: Stored) -> None:
    put_another(cluster)
    cluster.unreadable = True
    assert await take_in(cluster, "uid-1", [rejected(), rejected("other")]) == Taken(left_out=1)
    assert counted(cluster, "other") == 3


async def test_a_batch_is_told_once_with_what_is_stored_and_without_what_was_made_up(cluster: Stored) -> None:
    told: list[tuple[int, bool, tuple[Rejected, ...]]] = []

    def tell(record: Record, deployment: Deployment | None, news: Sequence[Rejected]) -> None:
        told.append((record.status.rejections.count, deployment is not None, tuple(news)))

    for _ in range(2):
        await take_in(cluster, "uid-1", [rejected(), rejected(from_image="gateway:never-ran")], tell)
    assert told == [(3, True, (rejected(),))]


async def test_nothing_is_told_of_what_could_not_be_written(cluster: Stored) -> None:
    told: list[Record] = []
    cluster.conflict = True
    with pytest.raises(ConflictError):
        await take_in(cluster, "uid-1", [rejected()], lambda record, *_: told.append(record))
    assert not told


BYPASS = rejected(decision=RejectionDecision.BYPASSED)


def store(cluster: Stored, image: str) -> None:
    cluster.put(make.deployment(make.container(image=image)))


async def test_what_is_let_through_is_waited_for_until_it_is_stored(cluster: Stored) -> None:
    assert await take_in(cluster, "uid-1", [BYPASS], final=False) == Taken(unsettled=1)
    assert counted(cluster) == 0
    store(cluster, NEXT_IMAGE)
    assert await take_in(cluster, "uid-1", [BYPASS], final=False) == Taken()
    assert counted(cluster) == 3


async def test_what_is_never_stored_is_left_out_in_the_end(cluster: Stored) -> None:
    assert await take_in(cluster, "uid-1", [BYPASS], final=True) == Taken(left_out=1)
    assert counted(cluster) == 0


async def test_a_record_that_is_still_to_be_made_is_waited_for(cluster: Stored) -> None:
    new = {"metadata": {"name": "new"}}
    cluster.put(make.merged(make.deployment(), new))
    assert await take_in(cluster, "uid-1", [rejected("new")], final=False) == Taken(unsettled=1)
    cluster.put(make.merged(make.record(), new))
    assert await take_in(cluster, "uid-1", [rejected("new")], final=False) == Taken()
    assert counted(cluster, "new") == 3


@pytest.mark.parametrize("made_up", [{"name": "nobody"}, {"from_image": "gateway:never-ran"}])
async def test_nothing_is_waited_for_that_will_never_fit(cluster: Stored, made_up: dict[str, str]) -> None:
    assert await take_in(cluster, "uid-1", [rejected(**made_up)], final=False) == Taken(left_out=1)


async def test_what_waits_keeps_no_other_record_waiting_and_counts_once(cluster: Stored) -> None:
    put_another(cluster)
    batch = [BYPASS, rejected("other")]
    for _ in range(2):
        assert await take_in(cluster, "uid-1", batch, final=False) == Taken(unsettled=1)
    assert (counted(cluster), counted(cluster, "other")) == (0, 3)
    store(cluster, NEXT_IMAGE)
    assert await take_in(cluster, "uid-1", batch) == Taken()
    assert (counted(cluster), counted(cluster, "other")) == (3, 3)


async def test_what_cannot_be_read_is_not_waited_for(cluster: Stored) -> None:
    cluster.unreadable = True
    assert await take_in(cluster, "uid-1", [rejected()], final=False) == Taken(left_out=1)
