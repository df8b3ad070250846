from __future__ import annotations

from pathlib import Path

import pytest

from plantood.training.recipe.roles import Cuts, Ground, Roles
from plantood.training.recipe.samples import Row


def test_all_parts_follow_from_the_four_that_a_user_names() -> None:
    roles = Roles.of(
        leaves=["scans"], plants=["field"], ground=["soil", "path"], other=["room", "cloth"]
    )
    assert (roles.leaves, roles.plants, roles.near) == (("scans",), ("field",), ("scans", "field"))
    assert roles.extras == roles.textures == ("room", "cloth")
    assert [ground.source for ground in roles.grounds] == ["soil", "path", "room", "cloth", None]
    shares = [ground.share for ground in roles.grounds]
    assert sum(shares) == pytest.approx(1.0)
    assert sum(shares[:2]) > sum(shares[2:4]) > shares[4]
    assert [ground.source for ground in roles.bare] == ["soil", "path"]
    # Something may grow between the plants of a user's photos.
    assert not roles.windows
    assert not any(ground.between for ground in (*roles.grounds, *roles.bare))
    assert roles.sources == {"scans", "field", "soil", "path", "room", "cloth"}


def test_without_anything_else_pieces_of_ground_stand_for_it() -> None:
    roles = Roles.of(leaves=["scans"], ground=["soil"])
    assert roles.textures == ("soil",)
    assert roles.extras == ()


def test_how_photos_are_cut_is_said_by_the_roles_of_their_sources() -> None:
    def row(source: str, *, plant: bool) -> Row:
        return Row(Path(source, str(plant)), plant, source, "train")

    rows = [row(source, plant=plant) for source in ("farm", "scans") for plant in (True, False)]
    roles = Roles(leaves=("scans",), plants=("farm",), grounds=(Ground("farm", 1.0),))
    assert Cuts.of(rows, roles) == Cuts(green=frozenset({Path("farm", "True")}))
    between = Roles(bare=(Ground("scans", 1.0, between=True), Ground("farm", 1.0)))
    assert Cuts.of(rows, between) == Cuts(between=frozenset({Path("scans", "True")}))
