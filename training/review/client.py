"""Label from a script as a reviewer would on the page."""

from __future__ import annotations

from types import TracebackType
from typing import Any

import httpx

from plantood.arguments import ensure_headers
from plantood.errors import PlantoodError, SettingsError
from plantood.training.rounds.labels import Kind, Label


class ReviewRefused(PlantoodError):
    """The review server does not answer, or did not take a decision; the message says why."""


class ReviewClient:
    """A reviewer without a browser.

    ::

        with ReviewClient("http://127.0.0.1:8400", "anna") as review:
            for photo in review.photos():
                review.label(photo["id"], "plant")

    Args:
        url: As the server printed it, with or without the token in it.
        reviewer: Name under which the decisions count.
        token: If the server asks for one and it is not in ``url``.
        timeout: Seconds for one request.

    Raises:
        ReviewRefused: ``url`` is no address, ``token`` cannot be sent, or the proxy that the
            environment names is none.
    """

    def __init__(
        self, url: str, reviewer: str, token: str | None = None, timeout: float = 30
    ) -> None:
        self.reviewer = reviewer
        try:
            address = httpx.URL(url)
            token = token or address.params.get("token")
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            ensure_headers("headers", headers)
            self._http = httpx.Client(
                base_url=address.copy_with(query=None), headers=headers, timeout=timeout
            )
        except (httpx.InvalidURL, SettingsError, TypeError, ValueError, ImportError) as error:
            # the last of SOCKS
            raise ReviewRefused(
                f"{url!r} cannot be asked ({error}); give the address that "
                "`plantood review` prints."
            ) from error

    def __enter__(self) -> ReviewClient:
        """Use the client, and close its connection at the end."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the connection."""
        self._http.close()

    def photos(self) -> list[dict[str, Any]]:
        """The mined photos, most suspicious first, each with ``id``, ``path``, ..."""
        photos: list[dict[str, Any]] = self._ask("GET", "/api/round")["photos"]
        return photos

    def decisions(self, after: int = 0) -> list[dict[str, Any]]:
        """All decisions with a ``number`` above ``after``, by everybody."""
        path = f"/api/decisions?after={after}"
        decisions: list[dict[str, Any]] = self._ask("GET", path)["decisions"]
        return decisions

    def label(
        self, photo: str, label: Label, kind: Kind | None = None, seen: int | None = None
    ) -> dict[str, Any]:
        """Say what a photo shows; it is on the server's disk when this returns.

        Args:
            photo: Its id.
            label: ``plant``, ``other`` or ``unsure``.
            kind: Of an ``other``: ``no_plant`` or ``unfit``.
            seen: Number of this reviewer's decision that must be standing, 0 for none; else the
                server refuses. None: whatever stands.

        Raises:
            ReviewRefused: It was not taken.
        """
        body = {"reviewer": self.reviewer, "id": photo, "label": label, "kind": kind, "seen": seen}
        return self._decision("/api/labels", body)

    def undo(self, photo: str, seen: int | None = None) -> dict[str, Any]:
        """Take back this reviewer's last decision on a photo.

        Raises:
            ReviewRefused: There is none, or a newer one than ``seen`` stands.
        """
        body = {"reviewer": self.reviewer, "id": photo, "seen": seen}
        return self._decision("/api/undo", body)

    def summary(self) -> dict[str, Any]:
        """Agreement between the reviewers, and what this one should look at again."""
        return self._ask("GET", "/api/summary", params={"reviewer": self.reviewer})

    def _decision(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        decision: dict[str, Any] = self._ask("POST", path, body)["decision"]
        return decision

    def _ask(self, method: str, path: str, body: Any = None, **options: Any) -> dict[str, Any]:
        if body is not None:
            options["json"] = body
        try:
            response = self._http.request(method, path, **options)
            answer: dict[str, Any] = response.json()
        except (httpx.HTTPError, ValueError) as error:
            raise ReviewRefused(
                f"No review server answers at {self._http.base_url} ({error}); start one with "
                "`plantood review ROUND`."
            ) from error
        if response.is_error:
            raise ReviewRefused(answer["error"])
        return answer
