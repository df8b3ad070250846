"""Errors that a user can cause, each one sentence: what happened, where, and what to do next."""

from __future__ import annotations


class PlantoodError(Exception):
    """Base of all errors raised on purpose; ``str(error)`` is fit to be shown to the user."""


class UnreadablePhoto(PlantoodError):
    """The bytes are not a whole photo: corrupt, cut off, empty, or of an unknown format."""


class PhotoTooLarge(UnreadablePhoto):
    """The photo has more bytes or more pixels than the limits allow; it was not decoded."""


class PhotoFileError(UnreadablePhoto, OSError):
    """No photo can be read at a path that the program named; whoever took a photo named none."""


class PhotoNotFound(PhotoFileError, FileNotFoundError):
    """There is no file at the path, but nothing or a folder."""


class SettingsError(PlantoodError):
    """An environment variable, option or operator's file holds a value that cannot be used."""


class GateModelError(PlantoodError):
    """A gate model cannot be used."""


class GateModelNotFound(GateModelError):
    """The Bento model store holds no gate model with this tag."""


class GateModelCorrupt(GateModelError):
    """A file of a gate model is missing or differs from the digest written when it was saved."""


class WeightsUnavailable(PlantoodError):
    """The weights asked for are not on this machine and could not be downloaded."""


class ExportMismatch(PlantoodError):
    """The exported graph and the Keras model disagree, so the export was refused."""


class TrainingDataError(PlantoodError):
    """The photos or the manifest cannot be trained on."""


class RoundError(PlantoodError):
    """A round's folder is missing, unfinished or damaged, or was made with other choices."""


class SourceError(PlantoodError):
    """The photos to be mined cannot be listed or fetched."""
