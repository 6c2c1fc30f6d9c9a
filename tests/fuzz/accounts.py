"""An account of every platform, and a rulebook that puts what a visitor writes everywhere where a rule can put it."""

from collections.abc import Mapping
from typing import Any

from bridge.line.accounts import Accounts
from bridge.platforms.registry import ADAPTERS

OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "site": {
        "platform": "omnidesk", "api_keys": ["one-of-our-api-keys"], "chat_servers": ["https://chat.example.com"],
        "base_url": "https://company.omnidesk.com", "api_key": "key-made-in-omnidesk", "plain_names": True,
        "chat_account_tokens": ["tok1234567890"],
    },
    "shop": {"platform": "helpcrunch", "api_key": "k" * 20, "agent": 1, "application": 3,
             "identity": {"email": "contact.email"}},
    "support": {"platform": "edna", "base_url": "https://company.example", "login": "i", "password": "secret",
                "hook_secret": "a-long-enough-secret", "agent_login": "bot", "bot_token": "t" * 20},
    "club": {"platform": "chayns", "location_id": 378, "tapp_id": 77889, "secret": "s" * 20},
    "duty": {"platform": "groupalarm", "organization": 17, "api_token": "t" * 20},
    "crm": {"platform": "webhook", "secrets": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
            "url": "https://crm.example/in", "call_hosts": ["api.example.com"]},
    "web": {"platform": "webchat"},
}  # fmt: skip

RULES = """
calendars:
  office: {timezone: Australia/Lord_Howe, hours: {mon-fri: ["09:00-17:00", "22:00-02:30"]}, holidays: DE}
rules:
  - name: said
    on: [message, visited, typing, attachment, ended, rated, contact, other, opened, widget, assigned]
    sender: [contact, agent, bot, system]
    do:
      - remember: {last: "{{ text | default(url) | default('nothing') }}", n: 1}
      - remember: {name: "{{ contact.name | default('') }}"}
        scope: contact
      - remember: {a: "{{ memory.last | upper | truncate(20) }}"}
        scope: account
      - forget: [n, m]
  - name: beside
    on: message
    account: web
    even_if_human: true
    when:
      text: {matches: '(?P<found>.*)'}
      not: {text: {words: [nothing at all, "क\u0940", 日本]}}
    do:
      - reply:
          one_of: ["{{ text }}", "You: {{ match.found }}", {text: "{{ messages | join(' ') }}{{ memory.last }}"}]
          attachments: [{url: "https://files.example/{{ text | urlencode }}", name: "{{ text }}"}, "{{ text }}"]
          quick_replies: ["{{ text | truncate(20) }}", "{{ contact.name | default('x') }}"]
  - name: answered
    on: message
    even_if_human: true
    do:
      - reply: {text: "{{ text }}", via: shop, to: {email: "{{ text }}"}}
      - send: {text: "{{ text }}", via: club, to: {users: "{{ text }}", thread_name: "{{ text }}"}}
      - send: {text: "{{ text }}", via: club, to: {users: 3, images: "{{ text }}"}}
      - send: {text: "{{ text }}", via: duty, to: {room: "{{ text }}"}}
      - send: {text: "{{ text }}", via: support, to: {client_id: "{{ text }}"}}
      - send: {text: "{{ text }}", via: crm, to: {anything: "{{ text }}", list: ["{{ text }}"]}}
      - call: {url: "https://api.example.com/{{ text }}", headers: {x-a: "{{ text }}"}, body: {t: ["{{ text }}"]}}
      - call: {url: "{{ text }}", method: GET, remember: {answer: body.a}}
      - call: {url: "https://{{ text }}.example.com/", remember: answer, then: [reply: {text: "{{ memory.answer }}"}]}
      - helpcrunch.tag: {tags: ["{{ text }}"], to: {chat: "{{ text }}"}}
      - helpcrunch.update_customer: {name: "{{ text }}", email: "{{ text }}", notes: "{{ text }}"}
      - helpcrunch.send_event: {name: "{{ text }}", data: {a: "{{ text }}"}, to: {user_id: "{{ text }}"}}
      - edna.client: {phones: ["{{ text }}"], remember: client, then: [remember: {seen: "{{ text }}"}]}
      - edna.message: {text: "{{ text }}", quick_replies: ["{{ text }}"], to: {thread: "{{ text }}"}}
      - edna.message: {text: "{{ text }}", files: ["{{ text }}"], to: {client_id: "{{ text }}"}}
      - edna.block: {reason: "{{ text }}", to: {client_id: "{{ text }}"}}
      - chayns.push: {alert: "{{ text }}", to: {users: "{{ text }}"}}
      - chayns.email: {subject: "{{ text }}", text: "{{ text }}", to: {uac_groups: "{{ text }}"}}
      - chayns.email: {subject: a, text: b, headline: "{{ text }}", greeting: "{{ text }}", to: {users: 3}}
      - chayns.members: {to: {uac_groups: "{{ text }}"}, remember: members}
      - groupalarm.create_room: {name: "{{ text }}", users: ["{{ text }}"]}
      - groupalarm.rename_room: {name: "{{ text }}", to: {room: "{{ text }}"}}
      - groupalarm.avatar: {content: "{{ text }}", to: {event: "{{ text }}"}}
      - omnidesk.check_origin: {account_token: "{{ text }}", origin: "{{ text }}", ip: "{{ text }}"}
      - omnidesk.queue: {account_token: "{{ text }}"}
      - after: 5m
        unless: [agent_message]
        do: [reply: {text: "Still there, {{ text }}?"}]
  - name: in-a-burst
    on: message
    burst: 2s
    when: {calendar: {open: office}, time: 00:00-24:00}
    do: [reply: {text: "{{ messages | length }} {{ messages | last }}"}]
  - name: asked
    on: [message, visited]
    when:
      any:
        - text: {words: [price, "how much", цена, τιμή], contains: "a b", starts_with: ß, ends_with: "?"}
        - url: {path: ["/a/**/b*", "/pricing/**"], host: "*.example", query: {x: ["1", "a b"]}}
        - event.raw.a.0.b: {above: 3, at_most: 9}
        - contact.email: {ends_with: "@acme.example"}
        - if: "text | length > 3 and event.raw.a"
    limit: {times: 3, per: contact, within: 24h}
    do: [reply: {template: price.md.j2}]
    stop: true
"""

PRICE = "**{{ contact.name | default('friend') }}**, _{{ text | default(url) }}_ [a]({{ url | default('b') }})\n"

HOSTILE = (
    "{{ contact.name }}{% for x in range(9) %}", "{{ 7 * 7 }}", "{% raw %}", "[url=https://evil.example]a[/url]",
    "[button]x[/button]", "- a: b\n  c: &d", "<a href='javascript:1'>", "**a** [b](https://evil.example) `c`",
    "\r\nX-Injected: yes", "a\nb", "https://evil.example/", "http://127.0.0.1:8080/", "//evil.example",
    "evil.example#",
    "https://api.example.com@evil.example/", "https://api.example.com\\@evil.example", "../../../etc/passwd",
    "?a=b&c=d#e",
    "%2e%2e%2f", "%0d%0a", "\0", "\x1b[2J", "\u202e", "\ud800", "\udfff a",
    "\u0301" * 300, "a" * 20_000, "👨‍👩‍👧" * 500,
    "9" * 400, "-1", "0", "1e999", "NaN", "null", "true", "[]", '{"a": 1}', "'; DROP TABLE events; --", "",
    " ", "\u00a0",
    "ada@shop.example", "17", "3, 5", "price how much цена?", "İſßΣς", "क\u0940 e\u0301",
)  # fmt: skip
"""What a visitor may write who wants something else than an answer."""


def every_account(**more: Any) -> Accounts:
    made = [
        ADAPTERS[options["platform"]].account.model_validate({"name": name, **options})
        for name, options in OPTIONS.items()
    ]
    return Accounts([*made, *more.values()], ADAPTERS)
