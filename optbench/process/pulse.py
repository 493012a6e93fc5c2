"""The steps that this process has taken: whoever waits for it can tell long work from none."""

from __future__ import annotations

import threading
import time
from multiprocessing.connection import Connection
from typing import Any

BEAT_S = 5.0
"""Seconds between two signs of life."""

beats = 0
"""Counts up with every turn of the training loop."""


def tell(pipe: Connection, sign: Any) -> threading.Lock:
    """Send the sign now and then, as long as steps are taken; whoever else sends holds the lock."""
    speech = threading.Lock()
    threading.Thread(target=_tell, args=(pipe, sign, speech), daemon=True).start()
    return speech


def _tell(pipe: Connection, sign: Any, speech: threading.Lock) -> None:
    told = beats
    while True:
        time.sleep(BEAT_S)
        if beats != told:
            told = beats
            try:
                with speech:
                    pipe.send(sign)
            except OSError:
                return  # whoever waited is gone
