from __future__ import annotations

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from plantood.model.parts.memory import Memory, remember, unit
from plantood.model.parts.neighbours import Neighbours


@pytest.fixture(scope="module")
def embeddings() -> np.ndarray:
    rng = np.random.default_rng(0)
    return (1 + rng.normal(size=(300, 20)) * 0.8 ** np.arange(20)).astype(np.float32)


PLANT = np.arange(300) % 3 > 0


def remembered(embeddings: np.ndarray, directions: int) -> Memory:
    logit, weights = np.zeros(300), np.ones(300)
    return remember(embeddings, logit, PLANT, ["s"] * 300, weights, directions=directions)


def expected(embeddings: np.ndarray, asked: np.ndarray, plant: bool, k: int) -> np.ndarray:
    known = unit(embeddings[plant == PLANT])
    distances, _ = NearestNeighbors(n_neighbors=k).fit(known).kneighbors(unit(asked))
    return distances[:, -1]


@pytest.mark.parametrize("k", [1, 7])
def test_with_all_directions_they_are_the_nearest(embeddings: np.ndarray, k: int) -> None:
    asked = embeddings[:40] + np.random.default_rng(1).normal(size=(40, 20)) * 0.5
    found = Neighbours(remembered(embeddings, 20), k).distances(asked)
    assert found.plants.dtype == np.float32
    np.testing.assert_allclose(found.plants, expected(embeddings, asked, True, k), atol=3e-3)
    np.testing.assert_allclose(found.others, expected(embeddings, asked, False, k), atol=3e-3)
    np.testing.assert_allclose(found.margin, found.others - found.plants)


def test_with_few_directions_they_are_near_that(embeddings: np.ndarray) -> None:
    asked = embeddings[:40] + np.random.default_rng(1).normal(size=(40, 20)) * 0.5
    found = Neighbours(remembered(embeddings, 8), 5).distances(asked)
    np.testing.assert_allclose(found.plants, expected(embeddings, asked, True, 5), rtol=0.12)


def test_what_lies_beyond_the_directions_is_far(embeddings: np.ndarray) -> None:
    memory = remembered(embeddings, 3)
    beyond = np.linalg.svd(memory.directions.astype(float))[2][-1]
    neighbours = Neighbours(memory)
    within = unit(embeddings[:1])
    assert neighbours.distances(within + beyond).plants > neighbours.distances(within).plants + 0.3


def test_rests_add_up_by_hand() -> None:
    # The plant has the code (0.3,) and a rest of 0.16, the other (0,) and one of 0.04; the photo
    # asked for, (0.6, 0.8), has the code (0.6,) and a rest of 0.64.
    memory = Memory(
        mean=np.zeros(2, np.float32),
        directions=np.array([[1, 0]], np.float16),
        codes=np.array([[0.3], [0]], np.float16),
        rest=np.array([0.16, 0.04], np.float32),
        logit=np.zeros(2, np.float32),
        plant=np.array([True, False]),
        source=np.zeros(2, np.int32),
        sources=np.array(["s"]),
        weight=np.full(2, 0.5, np.float32),
    )
    found = Neighbours(memory).distances(np.array([[3.0, 4.0]]))
    np.testing.assert_allclose(found.plants, np.sqrt(0.09 + 0.16 + 0.64), atol=1e-3)
    np.testing.assert_allclose(found.others, np.sqrt(0.36 + 0.04 + 0.64), atol=1e-3)


def test_fewer_pictures_than_neighbours(embeddings: np.ndarray) -> None:
    found = Neighbours(remembered(embeddings, 20), 1000).distances(embeddings[:5])
    farthest = expected(embeddings, embeddings[:5], False, int(np.sum(~PLANT)))
    np.testing.assert_allclose(found.others, farthest, atol=3e-3)


def test_the_nearest_pictures_of_both_classes(embeddings: np.ndarray) -> None:
    sources = [f"s{i % 7}" for i in range(300)]
    whole = remember(embeddings, np.zeros(300), PLANT, sources, np.ones(300), directions=20)
    asked = embeddings[:40] + np.random.default_rng(1).normal(size=(40, 20)) * 0.5
    known = NearestNeighbors(n_neighbors=5).fit(unit(embeddings))
    distances, rows = known.kneighbors(unit(asked))
    found = Neighbours(whole).nearest(asked, 5)
    np.testing.assert_allclose(
        [[one.distance for one in near] for near in found], distances, atol=3e-3
    )
    clear = distances[:, 1] - distances[:, 0] > 6e-3  # so that compression exchanged nothing
    assert clear.sum() > 20
    for i in np.flatnonzero(clear):
        first = rows[i, 0]
        expected_label = "plant" if PLANT[first] else "other"
        assert found[i][0][:2] == (expected_label, sources[first])
    assert {one.label for near in found for one in near} == {"plant", "other"}


def test_the_nearest_do_not_depend_on_who_else_is_asked_for(embeddings: np.ndarray) -> None:
    neighbours = Neighbours(remembered(embeddings, 20))
    asked = embeddings * (1 + np.arange(300)[:, None] / 300)
    alone = [neighbours.nearest(one[None], 3)[0] for one in asked]
    assert neighbours.nearest(asked, 3) == alone


def test_all_pictures_if_they_are_few(embeddings: np.ndarray) -> None:
    found = Neighbours(remembered(embeddings, 20)).nearest(embeddings[:2], 1000)
    assert [len(near) for near in found] == [300, 300]
    assert found[0][0].distance < 0.01 < found[0][1].distance
    assert Neighbours(remembered(embeddings, 20)).nearest(embeddings[:0], 5) == []


def test_a_memory_of_one_class(embeddings: np.ndarray) -> None:
    plants = np.ones(300, bool)
    memory = remember(embeddings, np.zeros(300), plants, ["s"] * 300, np.ones(300))
    with pytest.raises(ValueError, match="plants and others"):
        Neighbours(memory)


def test_the_pictures_of_the_memory_themselves(embeddings: np.ndarray) -> None:
    neighbours = Neighbours(remembered(embeddings, 20), 7)
    own, asked = neighbours.of_remembered(), neighbours.distances(embeddings)
    np.testing.assert_allclose(own.plants, asked.plants, atol=5e-3)
    np.testing.assert_allclose(own.others, asked.others, atol=5e-3)
    assert own.margin.shape == (300,)


def test_the_first_pictures_alone(embeddings: np.ndarray) -> None:
    memory = remembered(embeddings, 8)
    first = memory.first(30)
    assert len(first) == len(first.logit) == len(first.source) == 30
    asked = embeddings[200:220]
    expected = Neighbours(memory.first(30), 3).distances(asked)
    rest = NearestNeighbors(n_neighbors=3).fit(unit(embeddings[:30][PLANT[:30]]))
    near, _ = rest.kneighbors(unit(asked))
    np.testing.assert_allclose(expected.plants, near[:, -1], rtol=0.12)
