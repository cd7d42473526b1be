"""Query parameters of the native routes: one that is misspelt or comes twice is refused, not left out. Called by `guard` with the row's own model."""

from __future__ import annotations

from starlette.requests import Request

from app.core.errors import BadField
from app.web.errors import problem
from app.web.table import Endpoint


def check_query(endpoint: Endpoint, request: Request) -> None:
    """Raises BadField, where the row says which parameters there are. Older contracts ignore what they do not know, and so do probes."""
    if endpoint.about is None or endpoint.about.query is None or endpoint.scope is None or endpoint.refuse is not problem:
        return
    model = endpoint.about.query
    known = [field.alias or name for name, field in model.model_fields.items() if name not in endpoint.about.omit]
    seen: set[str] = set()
    for name, _ in request.query_params.multi_items():
        if name not in known:
            raise BadField(f"There is no parameter {name[:40]!r}; there are {', '.join(known)}.", field=name[:64])
        if name in seen:
            raise BadField(f"The parameter {name!r} stands here twice.", field=name)
        seen.add(name)
