"""What every run of the protocol's tests needs."""

import gc
import warnings

import pytest
from jwt.warnings import InsecureKeyLengthWarning


@pytest.fixture(autouse=True)
def weak_keys():
    """Keys are weak on purpose here: see `cloud.make_key_pair`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InsecureKeyLengthWarning)
        yield


@pytest.fixture(scope="package", autouse=True)
def settled_heap():
    """Let the collector pass over what is loaded for good: it would look at it in every run."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()
