from __future__ import annotations

import unicodedata
from dataclasses import replace

import pytest

from plantood.errors import PlantoodError, SettingsError, TrainingDataError
from plantood.training.common.settings import ROLES
from plantood.training.photos.data import LABELS
from plantood.training.recipe.named import ensure_enough, ensure_linear, named_roles
from tests.training.conftest import make_photo

PHOTOS = [
    make_photo("1", 1, "scans"),
    make_photo("2", 1, "farm"),
    make_photo("3", 0, "farm"),
    make_photo("4", 0, "soil"),
    make_photo("5", 0, "room"),
]


def test_every_role_is_of_a_class() -> None:
    assert {role.of_class for role in ROLES.values()} == set(LABELS)


def test_roles_by_option_and_by_manifest_the_option_wins() -> None:
    roles = {"scans": "leaves", "soil": "ground", "room": "ground"}
    photos = [replace(photo, role=roles.get(photo.source, "")) for photo in PHOTOS]
    nothing = {"plants": (), "other": ()}
    assert named_roles((), photos) == nothing | {"leaves": ("scans",), "ground": ("room", "soil")}
    # A source of both classes plays a part with each.
    given = ("Plants = farm,scans", "other=room", "other=farm")
    assert named_roles(given, photos) == {
        "leaves": (),
        "plants": ("farm", "scans"),
        "ground": ("soil",),
        "other": ("farm", "room"),
    }
    # A source has the role that some of its photos have.
    half = [*photos, make_photo("6", 1, "scans")]
    assert named_roles((), half)["leaves"] == ("scans",)


@pytest.mark.parametrize(
    ("roles", "said"),
    [
        ({"scans": "leafs", "soil": "ground"}, "source scans: there is no role 'leafs'"),
        ({"scans": "leaves", "soil": "leaves"}, "those of soil are of class other"),
        ({"soil": "ground"}, "nothing to cut out: give a source of class plant"),
        ({"scans": "leaves"}, "nothing to paste a leaf on: give a source of class other"),
    ],
)
def test_a_manifest_with_other_roles(roles: dict[str, str], said: str) -> None:
    photos = [replace(photo, role=roles.get(photo.source, "")) for photo in PHOTOS]
    with pytest.raises(TrainingDataError, match=said):
        named_roles((), photos)


def test_a_manifest_that_contradicts_itself() -> None:
    photos = [replace(PHOTOS[0], role="leaves"), make_photo("6", 1, "scans")]
    photos[1] = replace(photos[1], role="plants")
    with pytest.raises(TrainingDataError, match="scans has two roles, leaves and plants"):
        named_roles(("ground=soil",), [*photos, *PHOTOS[3:]])
    # Also where an option speaks of something else of it.
    with pytest.raises(SettingsError, match="soil has two roles, ground and other"):
        named_roles(("leaves=scans", "ground=soil", "other=soil"), PHOTOS)


def test_what_is_left_of_the_roles_for_some_photos() -> None:
    named = named_roles(("leaves=scans", "plants=farm", "ground=soil", "other=room"), PHOTOS)
    roles = ensure_enough(named, [photo for photo in PHOTOS if photo.source != "scans"])
    assert (roles.leaves, roles.plants) == ((), ("farm",))
    with pytest.raises(TrainingDataError, match="nothing to cut out"):
        ensure_enough(named, [photo for photo in PHOTOS if photo.label == 0])


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_a_source_is_found_in_whatever_form_its_accents_are(form: str) -> None:
    cafe = unicodedata.normalize("NFC", "café")
    photos = [make_photo("a", 1, cafe), make_photo("b", 0, cafe)]
    typed = unicodedata.normalize(form, cafe)
    named = named_roles([f"leaves={typed}", f"ground={typed}"], photos)
    assert named["leaves"] == named["ground"] == (cafe,)


def test_linear_heads_only() -> None:
    ensure_linear("composites", ["gap", "gap_l2"])
    with pytest.raises(PlantoodError, match="not v1, v3; name those"):
        ensure_linear("composites", ["v1", "gap", "v3"])
