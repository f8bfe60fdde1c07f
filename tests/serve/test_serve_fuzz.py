"""Questions that schemathesis makes of the OpenAPI document: none is a 500, all answers are as it says."""

from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

from streamagg.serve.api.endpoints import ENDPOINTS
from streamagg.serve.store.store import Store
from tests.serve.test_serve_http import Served, serving
from tests.support.asked_store import fill
from tests.support.published_history import Visits, sketches, values

VISITS = Visits.made(seed=6, windows=90)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    store = Store(tmp_path_factory.mktemp("fuzz") / "store")
    fill(store, values(VISITS.published()), sketches(VISITS))
    made = serving(store)
    made.standings.change(trouble=None, behind=0, begun=True)
    yield made
    made.desk.close()
    store.close()


@pytest.mark.parametrize(
    "path", [*(endpoint.path for endpoint in ENDPOINTS), "/v1/status", "/livez", "/readyz"]
)
def test_whatever_is_asked_is_answered_as_the_document_says(served: Served, path: str) -> None:
    """All but ``live``, which has no end."""
    document = schemathesis.openapi.from_asgi("/openapi.json", served.app)

    @given(case=document[path]["GET"].as_strategy())
    @settings(max_examples=40, suppress_health_check=list(HealthCheck), database=None)
    def answers(case: schemathesis.Case) -> None:
        # A text is more than its pattern: there is no 31 April, and no group called so.
        case.call_and_validate(excluded_checks=[positive_data_acceptance])

    answers()
