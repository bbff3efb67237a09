"""What every run of the protocol's tests needs."""

import warnings

import pytest
from jwt.warnings import InsecureKeyLengthWarning


@pytest.fixture(autouse=True)
def weak_keys():
    """Keys are weak on purpose here: see `cloud.make_key_pair`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InsecureKeyLengthWarning)
        yield
