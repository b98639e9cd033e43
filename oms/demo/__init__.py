"""The demo shop: products, customers and their orders, the same for the same seed.

The history is not typed in but lived: each order goes its way step by step through a simulated
clock, and every step writes what the operations would have written. Two things differ from them.
Rows are copied in bulk, because a hundred thousand orders should take a minute, and the log's
consumers are moved past the past, because nobody wants mail about it. `reconcile` finds nothing.

The same seed gives the same products, customers, baskets, prices and outcomes, and the same ids of
products and customers. Times are relative to now, and with them order numbers and ids.
"""
