"""Tokens that others replace, and tokens that are refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.kube.fake_api import answer, client_of, kubeconfig, serving, status
from webhook.errors import ForbiddenError, StartError
from webhook.kube.api.connection import connect
from webhook.kube.api.credentials import REREAD_SECONDS, TokenFile
from webhook.kube.resources import JOBS

JOB = JOBS.path("a", "j")


def test_token_file_is_read_once_a_minute(tmp_path: Path) -> None:
    now = 0.0
    path = tmp_path / "token"
    path.write_text("one\n")
    token = TokenFile(path, clock=lambda: now)
    path.write_text("two\n")
    assert token.authorization() == "Bearer one"
    now = REREAD_SECONDS
    assert token.authorization() == "Bearer two"
    path.write_text("three")
    assert token.drop()
    assert token.authorization() == "Bearer three"
    assert not token.drop()


@pytest.mark.parametrize(
    "spoil", [Path.unlink, lambda path: path.write_text(""), lambda path: path.write_text("a\nb")]
)
def test_a_token_file_that_cannot_be_read_leaves_the_last_token(
    tmp_path: Path, spoil: Callable[[Path], Any]
) -> None:
    path = tmp_path / "token"
    path.write_text("one\n")
    token = TokenFile(path)
    spoil(path)
    assert not token.drop()
    assert token.authorization() == "Bearer one"
    with pytest.raises(StartError):
        TokenFile(path)


async def test_a_refused_token_is_read_anew_and_tried_once(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("old")
    user = {"tokenFile": "token", "token": "written out"}
    steps = [status(401), answer({}), status(401)]
    async with serving(steps) as api:
        client = await connect(kubeconfig(tmp_path, api.url, user=user))
        path.write_text("new")
        await client.request("POST", JOBS.path("a"), body={})
        path.write_text("newest")
        for _ in range(2):
            with pytest.raises(ForbiddenError):
                await client.request("GET", JOB)
        await client.close()
    sent = [one.headers["Authorization"].removeprefix("Bearer ") for one in api.asked]
    assert sent == ["old", "new", "new", "newest", "newest"]


async def test_a_token_that_is_written_out_is_not_tried_twice(tmp_path: Path) -> None:
    async with serving([status(401)]) as api, client_of(api, tmp_path) as client:
        with pytest.raises(ForbiddenError):
            await client.request("GET", JOB)
    assert len(api.asked) == 1
