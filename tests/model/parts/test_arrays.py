"""What is computed with rows of embeddings; the files of arrays are tested with what is in them."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np

from plantood.model.parts.arrays import products

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(30, 16)).astype(np.float32)
OTHERS = RNG.normal(size=(50, 16)).astype(np.float32)


def test_products_are_those_of_matrices() -> None:
    found = products(ROWS, OTHERS)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, ROWS.astype(float) @ OTHERS.T.astype(float), atol=1e-5)
    np.testing.assert_allclose(products(ROWS, OTHERS[0]), found[:, 0], atol=1e-5)
    assert products(ROWS[:0], OTHERS).shape == (0, 50)
    assert products(ROWS[:0], OTHERS[0]).shape == (0,)


def test_products_do_not_depend_on_who_else_is_asked_for() -> None:
    alone = np.concatenate([products(ROWS[i : i + 1], OTHERS) for i in range(len(ROWS))])
    np.testing.assert_array_equal(products(ROWS, OTHERS), alone)


ASKED = """
import json, time
import numpy as np
from plantood.model.parts.correction import Correction
from plantood.model.parts.memory import remember
from plantood.model.parts.neighbours import Neighbours

rng = np.random.default_rng(0)
rows = rng.normal(size=(3000, 512)).astype(np.float32)
sources = ["a"] * len(rows)
memory = remember(rows, rows[:, 0], rows[:, 0] > 0, sources, np.ones(len(rows)), directions=256)
neighbours = Neighbours(memory)
correction = Correction(np.float32(1), rows[0], np.float32(0))
time.sleep(0.5)  # until the threads that made the memory are asleep
process, thread = time.process_time(), time.thread_time()
for _ in range(100):
    neighbours.distances(rows[:16])
    neighbours.nearest(rows[:16])
    correction.logit(rows[:16, 0], rows[:16])
thread = time.thread_time() - thread
print(json.dumps({"elsewhere": time.process_time() - process - thread, "here": thread}))
"""


def test_a_gate_that_asks_its_memory_keeps_to_one_thread() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ASKED], capture_output=True, text=True, check=True, timeout=120
    )
    seconds = json.loads(done.stdout)
    assert seconds["elsewhere"] < 0.1 * seconds["here"], seconds
