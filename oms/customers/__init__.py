"""Customers with their orders, money and mails, which belong to different apps."""
