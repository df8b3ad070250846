"""The decorator that puts the gate in front of a method."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Coroutine, Sequence
from http import HTTPStatus
from typing import Any, ParamSpec, Protocol, TypeVar, overload

import bentoml

from plantood.arguments import ensure_seconds, ensure_status_of_refusals
from plantood.bentoml_private import APIMethod
from plantood.compose.call import call_gated
from plantood.compose.front import Front
from plantood.compose.gate import OnGateError, ensure_outcome
from plantood.compose.gates import look_for_gates
from plantood.compose.method.request import input_of
from plantood.compose.method.response import output_of, own_output, status_of_refusals
from plantood.compose.method.signature import Signature, read_signature
from plantood.http.protocol import bound_connections
from plantood.judging import prometheus
from plantood.verdict import Verdict

Given = ParamSpec("Given")
Output = TypeVar("Output")


class GatedMethod(Protocol):
    """What `gated` makes of a method: the same parameters; a photo may get its verdict instead.

    Like BentoML's own calls of a service it has to be awaited, also where the method is not async.
    """

    @overload
    def __call__(
        self, func: Callable[Given, Coroutine[Any, Any, Output]], /
    ) -> Callable[Given, Coroutine[Any, Any, Output | Verdict]]: ...

    @overload
    def __call__(
        self, func: Callable[Given, Output], /
    ) -> Callable[Given, Coroutine[Any, Any, Output | Verdict]]: ...


@overload
def gated(
    func: Callable[Given, Coroutine[Any, Any, Output]], /
) -> Callable[Given, Coroutine[Any, Any, Output | Verdict]]: ...


@overload
def gated(
    func: Callable[Given, Output], /
) -> Callable[Given, Coroutine[Any, Any, Output | Verdict]]: ...


@overload
def gated(
    *,
    gate: str = ...,
    photo: str | Sequence[str] | None = ...,
    on_gate_error: OnGateError | None = ...,
    timeout_s: float | None = ...,
    retake_status: int | None = ...,
) -> GatedMethod: ...


def gated(
    func: Callable[..., Any] | None = None,
    /,
    *,
    gate: str = "gate",
    photo: str | Sequence[str] | None = None,
    on_gate_error: OnGateError | None = None,
    timeout_s: float | None = None,
    retake_status: int | None = None,
) -> Any:
    """Let only accepted photos reach a method; to be written below ``@bentoml.api``.

    ::

        @bentoml.api
        @gated
        def diagnose(self, image: PIL.Image.Image) -> Diagnosis: ...

        @bentoml.api
        @gated
        async def diagnose_many(self, images: list[LoadedImage]) -> list[Diagnosis]: ...

    The parameter that takes the photo is found by its annotation: ``PIL.Image.Image`` (all of the
    photo, upright, RGB; as many pixels of a JPEG as fit the memory of one photo), ``pathlib.Path``
    (a file that is deleted afterwards), ``bytes`` (the file as it was sent), `plantood.LoadedImage`
    (upright and reduced, as the gate decoded it, so that it need not be decoded twice), or a list
    of these. A parameter annotated `Verdict` (beside a list: ``list[Verdict]``) gets the verdict
    too.

    A refused photo is answered with its verdict. Of a list the accepted photos reach the method
    together, and the answer has an output or a verdict at the place of each photo.

    Args:
        func: The method.
        gate: Name of the service's attribute that holds the gate: anything that `ComposedGate`
            takes.
        photo: Name of the parameter that takes the photo, if several could; or names of several
            that take one each: all of them must be accepted, and the first refusal is the answer.
        on_gate_error: As `ComposedGate` takes it.
        timeout_s: As `ComposedGate` takes it.
        retake_status: HTTP status of the answer to a single photo that is refused: 200, or an error
            status (400 to 599). By default 200 where the method returns a JSON object, beside
            which a verdict is told by its fields, and 422 where it returns anything else. Lists
            are answered 200.

    Raises:
        TypeError: The gate cannot stand in front of this method, or stands above ``@bentoml.api``,
            or a refusal could not be told from an output.
        SettingsError: ``on_gate_error`` is none of the three, or ``timeout_s`` or ``retake_status``
            cannot be used.
    """
    ensure_outcome(on_gate_error)
    ensure_seconds("timeout_s", timeout_s)
    ensure_status_of_refusals("retake_status", retake_status)
    if func is None:
        return functools.partial(
            gated,
            gate=gate,
            photo=photo,
            on_gate_error=on_gate_error,
            timeout_s=timeout_s,
            retake_status=retake_status,
        )
    if isinstance(func, APIMethod):
        raise TypeError(
            f"@gated stands above @bentoml.api on {func.name}; write @bentoml.api first, and "
            "@gated below it."
        )
    if not inspect.isfunction(func):
        raise TypeError(f"@gated stands on a method, not on {func!r}.")
    bound_connections()  # a process that has gated methods is a server's
    prometheus.keep_apart()
    look_for_gates()
    signature = read_signature(func, photo)

    def returns() -> Any: ...

    returns.__annotations__ = {"return": signature.output}
    returns.__module__ = func.__module__
    own = own_output(returns)
    try:
        status = status_of_refusals(own, signature.many, retake_status)
    except TypeError as error:
        raise TypeError(f"@gated on {signature.name}: {error}.") from None
    front = Front(signature, gate, on_gate_error, timeout_s, status)

    async def checked_first(self: Any, *args: Any, **kwargs: Any) -> Any:
        given = signature.given(args, kwargs)
        return await call_gated(front, self, given, signature.language_named(args, kwargs))

    method: Any = functools.update_wrapper(checked_first, func)
    method.front = front
    del method.__wrapped__  # or BentoML would take the method's own signature
    method.__doc__ = _documented(func.__doc__, signature.many, status)
    method.__signature__ = _signature(
        signature,
        input_of(signature),
        output_of(own, signature.output, signature.many, status),
    )
    return method


def _documented(doc: str | None, many: bool, status: HTTPStatus) -> str:
    own = inspect.cleandoc(doc or "")
    unfit = "A photo that is not fit for this has a verdict in place of an output"
    if not many:
        unfit = (
            "The photo may also be the raw body. One that is not fit for this is answered "
            f"{status.value} with a verdict"
        )
    why = "`retake`, and why, in the language of `Accept-Language` or `?language=`."
    return f"{own}\n\n{unfit}: {why}".strip()


def _signature(signature: Signature, given: type, returned: type) -> inspect.Signature:
    """What BentoML reads: the request as a whole, its context, and the response."""
    parameters = [
        inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY),
        inspect.Parameter("request", inspect.Parameter.POSITIONAL_ONLY, annotation=given),
    ]
    if signature.context:
        parameters.append(
            inspect.Parameter(
                signature.context,
                inspect.Parameter.POSITIONAL_OR_KEYWORD,
                annotation=bentoml.Context,
            )
        )
    return inspect.Signature(parameters, return_annotation=returned)
