"""What a node needs of the machine is installed, or named with the command that does."""

import os
from pathlib import Path

import pytest

from tests.node import packages
from tests.node.machine import MachineError


def test_what_is_missing_is_named_with_the_command(tmp_path: Path) -> None:
    programs = {str(tmp_path / "nothing"): "some-package", "/bin/sh": "dash"}
    assert packages.missing(programs) == ["some-package"]
    with pytest.raises(MachineError, match="apt-get install --no-install-recommends some-package"):
        packages.require(programs)


def test_nobody_but_root_is_asked_to_install() -> None:
    own = os.geteuid()
    if own == 0:
        os.seteuid(65534)
    try:
        with pytest.raises(MachineError, match="as root"):
            packages.install({"/nowhere/nothing": "some-package"})
    finally:
        os.seteuid(own)
