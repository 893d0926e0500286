"""Every domain of this service: an import and a line each."""

from fastapi import APIRouter

from app.domains.accounts.router import router as accounts
from app.domains.orders.router import router as orders
from app.domains.posts.router import router as posts
from app.domains.users.router import router as users

router = APIRouter()
router.include_router(accounts)
router.include_router(orders)
router.include_router(posts)
router.include_router(users)  # last: others have paths below /users, as /users/activity
