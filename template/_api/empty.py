"""Every domain of this service: one line each."""

from fastapi import APIRouter

router = APIRouter()
