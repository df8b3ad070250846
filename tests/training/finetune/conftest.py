from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.training.conftest import Data, write_photo
from tests.training.finetune.test_data import make_round, photos_of

NAME = "gate-to-finetune"


@dataclass(frozen=True)
class Flywheel:
    """A parent in the store, and what it is to learn from."""

    folder: Path
    photos: Path
    tag: str
    round_1: Path
    soil: Path

    def run_options(self, runs: Path) -> list[str]:
        """Where runs and features are kept; the features are shared."""
        return ["--runs", str(runs), "--cache", str(self.folder / "cache")]


@pytest.fixture(scope="session")
def flywheel(data: Data, tmp_path_factory: pytest.TempPathFactory) -> Flywheel:
    """A gate trained on four sources without one of them, a reviewed round, and negatives."""
    from plantood.training.common.settings import DataSettings, FitSettings, TrainOptions
    from plantood.training.train.train import train_heads

    folder = tmp_path_factory.mktemp("flywheel")
    result = train_heads(
        TrainOptions(
            data.photos,
            backbone="mobilenet",
            weights=str(data.weights),
            heads=("gap",),
            dataset=DataSettings(min_per_class=5, leave_out=("d",)),
            fit=FitSettings(fine_tune_epochs=0),
            runs=folder / "runs",
            cache=folder / "cache",
            save="best",
            gate_name=NAME,
        )
    )
    labels = {f"plant {n}": "plant" for n in range(14)} | {f"other {n}": "other" for n in range(14)}
    make_round(folder / "round-1", labels)
    soil = folder / "soil"
    rows = ["path,label,source,group,origin,box"]
    for number in range(10):
        write_photo(soil / f"other/soil/{number}.jpg", 0, 7000 + number)
        rows.append(f"other/soil/{number}.jpg,other,soil,{number // 2:064},field.jpg,0 0 9 9")
    (soil / "origins.csv").write_text("\n".join(rows) + "\n")
    return Flywheel(folder, data.photos, result.tags["gap"], folder / "round-1", soil)


@pytest.fixture
def poisoned(tmp_path: Path) -> Path:
    """Photos whose labels are all wrong: whoever learns from them gets worse."""
    folder = photos_of(tmp_path / "poisoned", 100, 15000, source="mislabelled")
    (folder / "plant").rename(folder / "swap")
    (folder / "other").rename(folder / "plant")
    (folder / "swap").rename(folder / "other")
    return folder
