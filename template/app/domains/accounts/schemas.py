from typing import Annotated
from uuid import UUID

from pydantic import Field

from app.core.schemas import Cents, RecordRead, RequestModel, ResponseModel


class AccountCreate(RequestModel):
    owner_id: UUID
    balance_cents: Cents


class AccountRead(RecordRead):
    owner_id: UUID
    balance_cents: int


class TransferCreate(RequestModel):
    source_id: UUID
    target_id: UUID
    amount_cents: Annotated[Cents, Field(ge=1)]


class TransferRead(RecordRead):
    source_id: UUID
    target_id: UUID
    amount_cents: int


class TransferBatch(RequestModel):
    transfers: Annotated[list[TransferCreate], Field(min_length=1, max_length=100)]


class RefusedTransfer(ResponseModel):
    index: int = Field(description="Its place in the batch, counted from 0.")
    reason: str


class BatchRead(ResponseModel):
    completed: list[TransferRead]
    refused: list[RefusedTransfer]
