"""The one checker: everything that must always hold, asked of the database and the provider.

Each check is one statement that returns what breaks it. All of them see one snapshot, so a shop in
full swing gives no false alarm. What follows with a delay (an order follows its payment once the
log's consumer has heard of it) is left out for as long as the news is on its way.
"""
