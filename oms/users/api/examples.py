"""Example requests and responses."""

from __future__ import annotations

REGISTRATION = {
    "email": "carla@example.com",
    "password": "a good long password",
    "full_name": "Carla Winter",
    "phone": "+49 30 1234567",
    "language": "de",
}
USER = {
    "id": "019aa2f4-7c1e-7d52-9b0a-3c5f6e8d1a27",
    "email": "carla@example.com",
    "full_name": "Carla Winter",
    "phone": "+49 30 1234567",
    "language": "de",
    "is_staff": False,
    "created_at": "2026-11-21T09:30:00.123456Z",
}
PROFILE = {"full_name": "Carla Sommer", "phone": ""}
PROFILE_CHANGE = {"phone": "+49 30 7654321"}
CREDENTIALS = {"email": "carla@example.com", "password": "a good long password"}
REFRESH = {"refresh": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ0b2tlbl90eXBlIjoicmVmcmVzaCJ9.c2ln"}
TOKEN_PAIR = {
    "access": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ0b2tlbl90eXBlIjoiYWNjZXNzIn0.c2ln",
    "refresh": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ0b2tlbl90eXBlIjoicmVmcmVzaCJ9.c2ln",
}
NEW_STAFF = {
    "email": "sam@example.com",
    "full_name": "Sam Keller",
    "roles": ["clerk"],
    "permissions": ["payments.refund"],
}
STAFF = {
    "id": "019aa2f0-11d2-7c05-8f3e-0b7a5d9c2e41",
    **NEW_STAFF,
    "is_active": True,
    "is_superuser": False,
    "created_at": "2026-11-21T09:30:00.123456Z",
}
