"""Events on their way to other systems: written as CloudEvents, signed, kept out of networks of our own, and delivered."""

from api.webhooks.deliver import Deliverer, client_of
from api.webhooks.envelope import body_of
from api.webhooks.guard import Guard
from api.webhooks.signing import headers_of, new_secret

__all__ = ["Deliverer", "Guard", "body_of", "client_of", "headers_of", "new_secret"]
