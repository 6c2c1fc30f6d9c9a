"""The language as it was designed: its first examples, word for word, do what is said of them."""

from pathlib import Path
from zoneinfo import ZoneInfo

from bridge.lab.tests import run_tests
from bridge.line.accounts import Accounts
from bridge.line.decide import Behaviour
from bridge.line.render import Renderer
from bridge.platforms.registry import ADAPTERS
from tests.lab.checking import SHOP, checked
from tests.lab.playing import SITE

CLUB = ADAPTERS["chayns"].account.model_validate(
    {"name": "club", "location_id": 378, "tapp_id": 77889, "secret": "s" * 20}
)
ACCOUNTS = Accounts([SITE, SHOP, CLUB], ADAPTERS)

RULE = """\
rules:
  - name: price-question                 # unique; shown in traces, metrics, deliveries
    on: message
    account: [site, shop]                # optional: only events of these accounts
    sender: contact                      # default: contact
    when:                                # every line must hold
      text: {words: [price, cost, "how much"]}
      conversation.messages: {at_most: 3}
      calendar: {open: office}
      not: {contact.email: {ends_with: "@acme.example"}}
    limit: {times: 1, per: conversation, within: 24h}
    do:
      - reply: {template: price.md.j2}
      - remember: {asked_price: true}
      - after: 10m
        unless: [agent_message, ended]   # or the contact writes again: contact_message
        do:
          - reply: {text: "Still there, {{ contact.name | default('friend') }}?"}
    stop: true                           # no later rule sees this event
    examples:                            # run by `replybridge check`
      - message: "How much is it?"
        expect: {reply: {contains: price}}
      - message: "hello"
        expect: nothing
calendars:
  office: {timezone: Europe/Kyiv, hours: {mon-fri: "09:00-18:00"}}
"""

TEST = """
tests:
  - name: the follow-up is cancelled when an agent steps in
    at: 2026-03-27T10:00+02:00
    account: site
    steps:
      - message: how much is it?
      - expect: {reply: {contains: "price list", via: site}}
      - wait: 4m
      - agent: I can help
      - wait: 10m
      - expect: nothing
"""

BROADCASTS = """
audiences:
  customers: {file: audiences/customers.csv}                 # columns become variables
  berlin: {helpcrunch: {account: shop, filter: [{field: customers.city, operator: "=", value: Berlin}]}}
  members: {chayns: {account: club, uac_groups: [3, 5]}}

broadcasts:
  - name: monday-offer
    schedule: {cron: "0 9 * * mon", timezone: Europe/Kyiv}   # or at: 2026-12-01T09:00, or every: 2h, or none: by hand
    clock_change: {gap: shift, overlap: first}               # what happens in the missing and in the repeated hour
    not_after: 2h
    via: shop
    audience: customers
    template: offer.md.j2
    rate: 60/min                                             # on top of the account's own budget
    quiet_hours: "21:00-08:00"                               # in the recipient's time zone where known
    skip_if: "contact.memory.unsubscribed"
"""

TEMPLATES = {"price.md.j2": "Here is our price list.", "offer.md.j2": "Chairs for less."}


def test_they_are_sound_and_pass(tmp_path: Path) -> None:
    files = {"price.yaml": RULE, "price.test.yaml": TEST, "offer.yaml": BROADCASTS}
    found = checked(tmp_path, files, TEMPLATES, ACCOUNTS)
    assert (list(map(str, found.problems)), found.examples) == ([], 2)
    behaviour = Behaviour(rulebook=found.sound(), renderer=Renderer(found.templates, ACCOUNTS), accounts=ACCOUNTS)
    assert list(run_tests(tmp_path / "rules", behaviour, ZoneInfo("Europe/Kyiv"))) == []
    failing = TEST.replace("price list", "list of prices")
    (tmp_path / "rules/price.test.yaml").write_text(failing)
    (problem,) = run_tests(tmp_path / "rules", behaviour, ZoneInfo("Europe/Kyiv"))
    assert "expected a reply that contains 'list of prices'" in problem.message
