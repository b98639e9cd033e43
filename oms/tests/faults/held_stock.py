"""Another session that holds stock, so that writers wait."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from psycopg.errors import DeadlockDetected

from oms.tests.faults.shop import Shop


@contextmanager
def stock_held_now_and_then(
    shop: Shop, products: Sequence[str], *, held: float = 0.2, free: float = 0.02
) -> Iterator[None]:
    """The stock of one of the products at a time is held for `held` seconds, then free for `free`.

    By default it is held for longer than web processes let each other finish.
    """
    stop = threading.Event()

    def hold() -> None:
        with shop.connect() as connection:
            while not stop.wait(free):
                with suppress(DeadlockDetected), connection.transaction():
                    connection.execute(
                        "SELECT FROM inventory_stocklevel WHERE product_id = %s FOR UPDATE",
                        [random.choice(products)],
                    )
                    stop.wait(held)

    thread = threading.Thread(target=hold, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(timeout=10)
