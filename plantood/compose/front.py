"""What was said of the gate in front of one method, where the method is decorated."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus

from plantood.compose.gate import OnGateError
from plantood.compose.method.signature import Signature


@dataclass(frozen=True, eq=False)
class Front:
    """The gate in front of one method of a service class.

    Attributes:
        signature: What the method takes.
        attribute: Name of the service's attribute that holds the gate.
        on_gate_error: As `ComposedGate` takes it.
        timeout_s: As `ComposedGate` takes it.
        retake_status: HTTP status of the answer to a single photo that is refused.
    """

    signature: Signature
    attribute: str
    on_gate_error: OnGateError | None
    timeout_s: float | None
    retake_status: HTTPStatus
