"""A cluster with a healthy installation, for every test by itself."""

import pytest

from tests.kube.doctor.site import Site


@pytest.fixture
def site() -> Site:
    """A cluster in which schemagate is installed as the base says."""
    return Site()
