"""The addresses that start-up prints and `replybridge accounts` tells: one for each way in that the account uses."""

from pathlib import Path

import pytest

from bridge.app.addresses import addresses
from tests.running import settings_in

PUBLIC = "https://bridge.example"
EDNA = 'platform = "edna"\nbase_url = "https://company.example"\nlogin = "i"\npassword = "p"\nagent_login = "bot"\n'
OMNIDESK = 'platform = "omnidesk"\n'
STAND_IN = 'api_keys = ["k"]\nchat_servers = ["https://chat.example"]\n'
WEBHOOKS = 'webhook_secrets = ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]\n'


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ('platform = "helpcrunch"\napi_key = "k"\nsigning_keys = ["s"]\nagent = 1\n', ["/hooks/mine"]),
        (EDNA + 'hook_secret = "0123456789abcdef"\n', ["/hooks/mine/<hook_secret>"]),
        (EDNA + 'allowed_ips = ["203.0.113.7"]\n', ["/hooks/mine"]),
        (OMNIDESK + STAND_IN, ["/api/v2/chat/"]),
        (OMNIDESK + WEBHOOKS, ["/hooks/mine"]),
        (OMNIDESK + STAND_IN + WEBHOOKS, ["/api/v2/chat/", "/hooks/mine"]),
        ('platform = "groupalarm"\napi_token = "t"\n', []),
    ],
)
def test_the_webhooks_of_an_account(tmp_path: Path, options: str, expected: list[str]) -> None:
    settings = settings_in(tmp_path, {"bridge.toml": f"[accounts.mine]\n{options}"})
    pages, webhooks = addresses(settings, PUBLIC)
    assert pages == {}
    assert list(webhooks.get("mine", ())) == [PUBLIC + path for path in expected]


def test_the_page_of_the_web_chat(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, {"bridge.toml": '[accounts.chat]\nplatform = "webchat"\n'})
    assert addresses(settings, PUBLIC) == ({"chat": f"{PUBLIC}/"}, {})
