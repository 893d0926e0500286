"""Every domain of this service: an import and a line each."""

from fastapi import APIRouter

router = APIRouter()
