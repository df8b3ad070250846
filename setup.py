"""The packages of the wheel: ``training/`` is installed as ``plantood.training``."""

from setuptools import find_packages, setup

setup(
    packages=[
        *find_packages(include=["plantood", "plantood.*"]),
        "plantood.training",
        *(f"plantood.training.{name}" for name in find_packages("training")),
    ],
    package_dir={"plantood.training": "training"},
)
