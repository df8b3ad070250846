"""The parts that the public sources play in the starter's recipe."""

from __future__ import annotations

from plantood.training.recipe.roles import Ground, Roles

LEAVES = ("apple_plantvillage", "citrus_leaves", "maize_plantvillage", "rice_leaf")
SEEDLINGS = "plant_seedlings"

ROLES = Roles(
    leaves=LEAVES,
    plants=(SEEDLINGS, "beans_uganda"),
    near=("beans_uganda", "blackgram_field", *LEAVES),
    extras=("sign_digits_hands", "clothing"),
    textures=("dtd_subset", "clothing", "imagenet_samples", "sign_digits_hands"),
    windows=(SEEDLINGS,),
    grounds=(
        Ground("soil_NHA078", 5.0),
        Ground("soil_EricEchemane", 5.0),
        Ground("crackforest_asphalt", 3.0),
        Ground(SEEDLINGS, 4.0, between=True),
        Ground("clothing", 4.0),
        Ground("dtd_subset", 3.0),
        Ground("imagenet_samples", 1.5),
        Ground("plantvillage_background", 1.0),
        Ground(None, 1.5),
    ),
    bare=(
        Ground("soil_NHA078", 2.5),
        Ground("soil_EricEchemane", 2.5),
        Ground(SEEDLINGS, 2.5, between=True),
        Ground("crackforest_asphalt", 1.5),
        Ground("dtd_subset", 1.0),
    ),
    counted_less={"deep_weeds": 0.3},  # many of these photos show dry ground with hardly a leaf
)

NEEDED_SOURCES = ROLES.sources
"""What the manifest must hold."""

TOGETHER = (frozenset({"apple_plantvillage", "maize_plantvillage"}),)
"""Collections of one table and one camera: who has seen one has seen the other."""
