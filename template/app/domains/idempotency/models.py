from app.core.answers import StoredAnswer


class IdempotencyKey(StoredAnswer):
    __tablename__ = "idempotency_keys"
