"""A pytest plug-in: hvac's integration tests use a server that already runs.

The tests normally start a server in setUpClass. This plug-in replaces their manager with one without a
process, whose client uses the address and token of the server under test.
"""

import os
from types import SimpleNamespace


def _set_up_class(cls):
    import hvac

    address, token = os.environ["SIGNET_ADDR"], os.environ["SIGNET_TOKEN"]
    cls.manager = SimpleNamespace(
        root_token=token,
        keys=[],
        client=hvac.Client(url=address, token=token),
        stop=lambda: None,
    )


def pytest_configure(config):
    from tests.utils.hvac_integration_test_case import HvacIntegrationTestCase

    HvacIntegrationTestCase.setUpClass = classmethod(_set_up_class)
