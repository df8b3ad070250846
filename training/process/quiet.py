"""Import TensorFlow without its chatter."""

from __future__ import annotations

import os
import sys
import tempfile


def import_tensorflow() -> None:
    """Import TensorFlow, and drop what it writes to standard error meanwhile, unless it fails.

    Some of its C++ lines (about CUDA and oneDNN) come before logging is set up and ignore
    ``TF_CPP_MIN_LOG_LEVEL``; they are written by file descriptor, so that is what is redirected.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 2)
        try:
            import keras  # noqa: F401
            import tensorflow as tf
        except BaseException:
            said.seek(0)
            os.write(kept, said.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
    tf.get_logger().setLevel("ERROR")  # heads of several shapes retrace; that is no news
