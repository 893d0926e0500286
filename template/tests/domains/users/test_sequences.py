import random
from typing import Any

import pytest
from httpx import AsyncClient

ADDRESSES = [f"user{number}@example.com" for number in range(4)]
STEPS = 60


class Model:
    """What the service should know, in the simplest form."""

    def __init__(self) -> None:
        self.live: dict[str, str] = {}
        self.deleted: dict[str, str] = {}

    def create(self, user_id: str, email: str) -> None:
        self.live[user_id] = email

    def is_taken(self, email: str) -> bool:
        return email in self.live.values()

    def change(self, user_id: str, email: str) -> int:
        if user_id not in self.live:
            return 404
        if self.is_taken(email) and self.live[user_id] != email:
            return 409
        self.live[user_id] = email
        return 200

    def delete(self, user_id: str) -> int:
        if user_id not in self.live:
            return 404
        self.deleted[user_id] = self.live.pop(user_id)
        return 204

    def restore(self, user_id: str) -> int:
        if user_id in self.deleted:
            if self.is_taken(self.deleted[user_id]):
                return 409
            self.live[user_id] = self.deleted.pop(user_id)
        return 200


async def read_all(client: AsyncClient) -> dict[str, str]:
    users: list[dict[str, Any]] = (await client.get("/users")).json()["items"]
    return {user["id"]: user["email"] for user in users}


@pytest.mark.parametrize("seed", range(4))
async def test_after_any_sequence_of_requests_the_service_knows_what_it_should(
    client: AsyncClient, seed: int
) -> None:
    choose, model = random.Random(seed), Model()
    for _ in range(STEPS):
        email = choose.choice(ADDRESSES)
        known = [*model.live, *model.deleted]
        action = choose.choice(["change", "delete", "restore"]) if known else "create"
        if len(known) < 8 and choose.random() < 0.4:
            action = "create"
        if action == "create":
            taken = model.is_taken(email)
            response = await client.post("/users", json={"email": email, "full_name": "Ada"})
            assert response.status_code == (409 if taken else 201)
            if not taken:
                model.create(response.json()["id"], email)
        else:
            user_id = choose.choice(known)
            path = f"/users/{user_id}"
            if action == "change":
                response = await client.patch(path, json={"email": email})
                assert response.status_code == model.change(user_id, email)
            elif action == "delete":
                response = await client.delete(path)
                assert response.status_code == model.delete(user_id)
            else:
                response = await client.post(f"{path}/restore")
                assert response.status_code == model.restore(user_id)
        assert await read_all(client) == model.live
