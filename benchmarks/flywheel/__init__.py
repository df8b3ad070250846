"""The flywheel on real photos: what a round, a direction of the loss, and a reviewer's hour bring.

Every script here needs the shared photos and weights (`PLANTOOD_SHARED`), and keeps features and
what it has measured in a folder, so that it can be interrupted and run again.
"""

from plantood.training.process.quiet import import_tensorflow

import_tensorflow()  # before the modules below import it with all its chatter
