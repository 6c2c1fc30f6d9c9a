"""A company with an account on every platform, each a fake in the test's process: its settings and its rules."""

import time
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from tests.fakes import chayns, edna, groupalarm, helpcrunch, omnidesk
from tests.fakes.chat_server import ChatServer
from tests.fakes.chayns import Chayns
from tests.fakes.edna import Edna
from tests.fakes.groupalarm import GroupAlarm
from tests.fakes.helpcrunch import HelpCrunch
from tests.fakes.omnidesk import Omnidesk
from tests.fakes.webhook import Receiver

SITE_KEY = "key-of-the-chat-server"
HOOK_SECRET = "hook-secret-of-omnidesk"
SIGNING_KEY = "signing-key-of-helpcrunch"
EDNA_SECRET = "0123456789abcdef0123"
CRM_KEY = b"the key of the crm, 32 bytes long"
CRM_SECRET = f"whsec_{b64encode(CRM_KEY).decode()}"
EVENTS_TOKEN = "token-of-the-event-bus"
FORM_KEY = "key-of-the-form"
SECRETS = (
    SITE_KEY,
    HOOK_SECRET,
    SIGNING_KEY,
    EDNA_SECRET,
    CRM_SECRET,
    CRM_SECRET.removeprefix("whsec_"),
    CRM_KEY.decode(),
    EVENTS_TOKEN,
    FORM_KEY,
    omnidesk.KEY,
    helpcrunch.KEY,
    edna.PASSWORD,
    edna.BOT_TOKEN,
    chayns.SECRET,
    groupalarm.TOKEN,
)
"""What nobody may read in a log, an answer, the store or on a screen."""

RULES = """
rules:
  - name: pass on
    on: [message, attachment]
    account: site
    priority: 100
    do:
      - omnidesk.forward: {via: desk}
  - name: the site answers
    on: message
    account: site
    do:
      - reply: {text: "site: {{ text }}"}
  - name: and so does HelpCrunch
    on: message
    account: site
    when: {contact.email: {exists: true}}
    do:
      - reply: {via: shop, text: "shop: {{ text }}"}
  - name: a file goes on
    on: attachment
    account: site
    do:
      - reply:
          via: support
          to: {client_id: c-17}
          text: "support: a file"
          attachments: ["{{ attachment.url | default('') }}"]
  - name: an agent answered in Omnidesk
    on: message
    sender: agent
    account: tickets
    do:
      - groupalarm.create_room:
          name: new
          users: [8]
          remember: {room: id}
          then:
            - groupalarm.rename_room:
                to: {room: "{{ memory.room }}"}
                name: "ticket {{ event.raw.data.ticket | default(0) }}"
            - send: {via: duty, to: {room: "{{ memory.room }}"}, text: "duty: {{ text }}"}
  - name: HelpCrunch
    on: message
    account: shop
    do:
      - reply: {text: "shop: {{ text }}"}
      - helpcrunch.assign: {agent: 4188}
      - helpcrunch.tag: {tags: [vip]}
      - helpcrunch.close:
  - name: edna's bot
    on: message
    account: support
    when: {contact.client_id: {exists: true}}
    do:
      - edna.client:
          to: {client_id: "{{ contact.client_id }}"}
          remember: {phone: phone}
          then:
            - reply: {text: "support: {{ text }}, {{ memory.phone | default('?') }}", quick_replies: ["yes", "no"]}
            - edna.assign: {login: olha}
  - name: edna waits for its answer
    on: message
    account: quick
    do:
      - reply: {text: "quick: {{ text }}"}
  - name: Standard Webhooks
    on: message
    account: crm
    do:
      - reply: {text: "crm: {{ text }}"}
      - call:
          via: crm
          url: "CALLS"
          body: {asked: "{{ text }}"}
          remember: {order: body.order}
          then:
            - reply: {text: "crm: order {{ memory.order | default(0) }}"}
  - name: CloudEvents
    on: message
    account: events
    do:
      - chayns.push: {to: {users: [1001]}, alert: "push: {{ text }}"}
      - send: {via: club, to: {users: [1001]}, text: "club: {{ text }}"}
  - name: a form
    on: message
    account: form
    do:
      - send: {via: duty, to: {room: 5}, text: "duty: {{ text }} ({{ contact.email | default('?') }})"}
  - name: the web chat
    on: message
    account: web
    do:
      - reply: {text: "web: {{ text }}"}
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Platforms:
    """The fakes, all of them listening."""

    chat: ChatServer
    omnidesk: Omnidesk
    helpcrunch: HelpCrunch
    edna: Edna
    chayns: Chayns
    groupalarm: GroupAlarm
    crm: Receiver

    def refused(self) -> list[object]:
        """What any of them has complained about."""
        fakes = (self.chat, self.omnidesk, self.helpcrunch, self.edna, self.chayns, self.groupalarm, self.crm)
        return [complaint for fake in fakes for complaint in fake.refused]

    def files(self) -> dict[str, str]:
        """Settings and rules, as they stand in the company's folder."""
        return {"bridge.toml": self._settings(), "rules/rules.yaml": RULES.replace("CALLS", self.crm.calls_url)}

    def _settings(self) -> str:
        return f"""
[server]
public_url = "https://bridge.example"

[accounts.web]
platform = "webchat"

[accounts.site]
platform = "omnidesk"
api_keys = ["{SITE_KEY}"]
chat_servers = ["{self.chat.url}"]
ticket_within = "15s"

[accounts.desk]
platform = "omnidesk"
base_url = "{self.omnidesk.url}"
api_key = "{omnidesk.KEY}"

[accounts.tickets]
platform = "omnidesk"
webhook_secrets = ["{HOOK_SECRET}"]
webhook_fields = {{ conversation = "data.chat", sender = "data.by", text = "data.text" }}
webhook_kinds = {{ "chat.message" = "message" }}
webhook_senders = {{ Agent = "agent" }}

[accounts.shop]
platform = "helpcrunch"
base_url = "{self.helpcrunch.url}"
api_key = "{helpcrunch.KEY}"
signing_keys = ["{SIGNING_KEY}"]
agent = 4188
identity = {{ email = "contact.email" }}

[accounts.support]
platform = "edna"
base_url = "{self.edna.url}"
hook_secret = "{EDNA_SECRET}"
login = "{edna.LOGIN}"
password = "{edna.PASSWORD}"
agent_login = "bot"
bot_token = "{edna.BOT_TOKEN}"

[accounts.quick]
platform = "edna"
base_url = "{self.edna.url}"
allowed_ips = ["127.0.0.1"]
bot_token = "{edna.BOT_TOKEN}"
answer = "sync"
answer_within = "15s"

[accounts.club]
platform = "chayns"
base_url = "{self.chayns.url}"
location_id = {chayns.LOCATION}
tapp_id = {chayns.TAPP}
secret = "{chayns.SECRET}"

[accounts.duty]
platform = "groupalarm"
base_url = "{self.groupalarm.url}"
organization = {groupalarm.ORGANIZATION}
api_token = "{groupalarm.TOKEN}"

[accounts.crm]
platform = "webhook"
secrets = ["{CRM_SECRET}"]
url = "{self.crm.url}"
internal_hosts = ["127.0.0.1"]

[accounts.events]
platform = "webhook"
scheme = "cloudevents"
secrets = ["{EVENTS_TOKEN}"]

[accounts.form]
platform = "webhook"
scheme = "header"
secrets = ["{FORM_KEY}"]
fields = {{ conversation = "email", text = "question", "contact.email" = "email" }}
"""


@asynccontextmanager
async def all_platforms() -> AsyncIterator[Platforms]:
    now = time.time()
    async with AsyncExitStack() as stack:
        platforms = Platforms(
            chat=await stack.enter_async_context(ChatServer()),
            omnidesk=await stack.enter_async_context(Omnidesk()),
            helpcrunch=await stack.enter_async_context(HelpCrunch()),
            edna=await stack.enter_async_context(Edna()),
            chayns=await stack.enter_async_context(Chayns()),
            groupalarm=await stack.enter_async_context(GroupAlarm()),
            crm=await stack.enter_async_context(Receiver(CRM_KEY, now)),
        )
        platforms.helpcrunch.clock = now
        platforms.helpcrunch.add_customer({"id": 45, "email": "anna@shop.example", "name": "Anna"})
        platforms.helpcrunch.add_customer({"id": 46, "email": "ben@shop.example", "name": "Ben"})
        platforms.helpcrunch.add_chat(5215261, {"id": 45, "email": "anna@shop.example"})
        platforms.helpcrunch.add_chat(5215262, {"id": 46, "email": "ben@shop.example"})
        platforms.groupalarm.add_room(5)
        platforms.crm.found = {"order": "A-17"}
        yield platforms
