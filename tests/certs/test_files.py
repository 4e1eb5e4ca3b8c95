import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from certs import CertError, CertUnreadable, FilePairSource, KeyMismatch, ReloadOutcome, ServingContext
from tests.certs.handshakes import SecretVolume, connected, issued, listening, shown

RELOADED = (ReloadOutcome.RELOADED, None)
UNCHANGED = (ReloadOutcome.UNCHANGED, None)


class Looks:
    """Lets a follower look once each time it is asked to, and gives what it reported."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        self._ticks: asyncio.Queue[None] = asyncio.Queue()
        self._reports: asyncio.Queue[tuple[ReloadOutcome, CertError | None]] = asyncio.Queue()

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await self._ticks.get()

    def report(self, outcome: ReloadOutcome, error: CertError | None) -> None:
        self._reports.put_nowait((outcome, error))

    async def next(self) -> tuple[ReloadOutcome, CertError | None]:
        self._ticks.put_nowait(None)
        return await self._reports.get()


@asynccontextmanager
async def following(source: FilePairSource, serving: ServingContext) -> AsyncIterator[Looks]:
    looks = Looks()
    task = asyncio.create_task(source.follow(serving, interval=10.0, sleep=looks.sleep, report=looks.report))
    try:
        yield looks
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def source_of(volume: SecretVolume) -> FilePairSource:
    return FilePairSource(volume.cert_path, volume.key_path)


async def test_a_swapped_volume_is_seen_by_new_handshakes(tmp_path: Path) -> None:
    volume, old, new = SecretVolume(tmp_path), issued(), issued()
    volume.publish("v1", old)
    source = source_of(volume)
    serving = ServingContext(source.load())
    async with listening(serving) as port, following(source, serving) as looks, connected(port) as connection:
        assert await looks.next() == UNCHANGED
        volume.publish("v2", new)
        assert await shown(port) == old.fingerprint
        assert await looks.next() == RELOADED
        assert await shown(port) == new.fingerprint
        assert await connection.echo(b"still here") == b"still here"
        assert connection.fingerprint == old.fingerprint
        assert await looks.next() == UNCHANGED


async def test_content_counts_and_dates_do_not(tmp_path: Path) -> None:
    volume, pair = SecretVolume(tmp_path), issued()
    volume.publish("v1", pair)
    serving = ServingContext(pair)
    async with following(source_of(volume), serving) as looks:
        volume.publish("v2", pair)
        (tmp_path / "..v2" / "tls.crt").touch()
        assert await looks.next() == UNCHANGED
        assert serving.pair is pair


async def test_a_half_written_file_keeps_the_last_good_pair(tmp_path: Path) -> None:
    cert_path, key_path = tmp_path / "tls.crt", tmp_path / "tls.key"
    old, new = issued(), issued()
    serving = ServingContext(old)
    async with listening(serving) as port, following(FilePairSource(cert_path, key_path), serving) as looks:
        for chain, key, kind in [
            (None, None, CertUnreadable),
            (b"", new.private_key, CertUnreadable),
            (new.certificate_chain[:200], new.private_key, CertUnreadable),
            (new.certificate_chain, new.private_key[:60], CertUnreadable),
            (new.certificate_chain, old.private_key, KeyMismatch),
        ]:
            if chain is not None and key is not None:
                cert_path.write_bytes(chain)
                key_path.write_bytes(key)
            outcome, error = await looks.next()
            assert outcome is ReloadOutcome.FAILED
            assert isinstance(error, kind)
            assert str(cert_path) in str(error)
            assert serving.pair is old
            assert await shown(port) == old.fingerprint
        key_path.write_bytes(new.private_key)
        assert await looks.next() == RELOADED
        assert await shown(port) == new.fingerprint


async def test_what_verifies_the_pair_is_read_with_it_and_keeps_no_renewed_pair_back(tmp_path: Path) -> None:
    volume, ca_path = SecretVolume(tmp_path), tmp_path / "ca.crt"
    volume.publish("v1", issued())
    with pytest.raises(CertUnreadable, match=r"ca\.crt"):
        FilePairSource(volume.cert_path, volume.key_path, ca_path).load()
    ca_path.write_bytes(b"old")
    source = FilePairSource(volume.cert_path, volume.key_path, ca_path)
    serving = ServingContext(source.load())
    assert source.bundle == b"old"
    async with following(source, serving) as looks:
        ca_path.write_bytes(b"new")
        assert source.bundle == b"old"
        assert await looks.next() == UNCHANGED
        assert source.bundle == b"new"
        ca_path.unlink()
        volume.publish("v2", renewed := issued())
        assert await looks.next() == RELOADED
        assert serving.pair == renewed
        outcome, error = await looks.next()
        assert outcome is ReloadOutcome.FAILED
        assert "ca.crt" in str(error)
        assert source.bundle == b"new"


async def test_the_wait_comes_first_and_is_the_interval(tmp_path: Path) -> None:
    volume, pair = SecretVolume(tmp_path), issued()
    volume.publish("v1", pair)
    async with following(source_of(volume), ServingContext(pair)) as looks:
        await looks.next()
        await looks.next()
        assert set(looks.slept) == {10.0}


@pytest.mark.parametrize("interval", [0.0, -1.0])
async def test_no_interval_is_a_wrong_argument(tmp_path: Path, interval: float) -> None:
    looks, source = Looks(), FilePairSource(tmp_path, tmp_path)
    with pytest.raises(ValueError):
        await source.follow(ServingContext(issued()), interval=interval, sleep=looks.sleep, report=looks.report)


def test_the_outcomes_suit_a_metric_label() -> None:
    assert [str(outcome) for outcome in ReloadOutcome] == ["reloaded", "unchanged", "failed"]
