# Copyright (c) 2026 The xeiaso.net/site authors
# SPDX-License-Identifier: MIT
"""Does with Mastodon.py what a person does: once through everything."""

import re
import sys
import time
import urllib.parse
import urllib.request

from mastodon import Mastodon
from mastodon.errors import MastodonAPIError, MastodonNotFoundError, MastodonUnauthorizedError

base, user, password, picture = sys.argv[1:]
scopes = ["read", "write"]


def agree(address):
    """Logs in on the page that the address leads to, and returns the code."""
    page = urllib.request.urlopen(address).read().decode()
    query = urllib.parse.parse_qsl(urllib.parse.urlsplit(address).query)
    assert "<form" in page, page
    form = urllib.parse.urlencode(query + [("username", user), ("password", password)]).encode()
    page = urllib.request.urlopen(base + "/oauth/authorize", form).read().decode()
    return re.search("<code>(.*)</code>", page).group(1)


client, secret = Mastodon.create_app("a Python program", scopes=scopes, api_base_url=base)
m = Mastodon(client_id=client, client_secret=secret, api_base_url=base)
m.log_in(code=agree(m.auth_request_url(scopes=scopes)), scopes=scopes)
me = m.account_verify_credentials()
print("logged in as", me.acct, "on version", m.instance().version, "with", m.app_verify_credentials().name)
try:
    m.log_in(username=user, password=password, scopes=scopes)
    sys.exit("the password grant was not refused")
except Exception as e:
    print("password grant:", e)

media = m.media_post(picture, description="A red dot")
print("uploaded", media.id, media.description, media.url)
while media.url is None:
    try:
        m.status_post("too early", media_ids=[media])
        sys.exit("media that are not processed were attached")
    except MastodonAPIError as e:
        print("attached too early:", e.args[-1])
    time.sleep(0.1)
    media = m.media(media)
media = m.media_update(media, description="A small red dot")

status = m.status_post("Hello from Python: https://blog.example/1 #hello", media_ids=[media], language="en",
                       visibility="unlisted", idempotency_key="python-1")
again = m.status_post("Hello from Python: https://blog.example/1 #hello", idempotency_key="python-1")
assert again.id == status.id, (again.id, status.id)
assert status.media_attachments[0].description == "A small red dot"
assert status.application.name == "a Python program"
assert status.tags[0].name == "hello"
print("posted", status.url, status.visibility, status.language)
print(status.content)

edited = m.status_update(status, status="Hello again from Python: https://blog.example/1", media_ids=[media],
                         spoiler_text="greeting")
assert edited.id == status.id and edited.edited_at is not None and edited.spoiler_text == "greeting", edited
assert len(edited.media_attachments) == 1, edited
print("edited", m.status_source(status).text)
bare = m.status_update(status, status="Hello without a picture")
assert bare.media_attachments == [] and bare.spoiler_text == "", bare

more = [m.status_post("number %d" % i).id for i in range(5)]
page = m.account_statuses(me, limit=2)
listed = [s.id for s in m.fetch_remaining(page)]
assert listed == list(reversed(more)) + [status.id], listed
assert [s.id for s in m.account_statuses(me, min_id=more[0], limit=2)] == [more[2], more[1]]
assert [s.id for s in m.account_statuses(me, since_id=more[0], limit=2)] == [more[4], more[3]]
print("listed", len(listed), "statuses in pages of two")

for text in ["x" * 501, ""]:
    try:
        m.status_post(text)
        sys.exit("%d characters were taken" % len(text))
    except MastodonAPIError as e:
        print("%d characters:" % len(text), e.args[-1])
for i in listed:
    m.status_delete(i)
assert m.account_statuses(me) == []
try:
    m.status(status)
    sys.exit("the status is still there")
except MastodonNotFoundError as e:
    print("deleted:", e.args[-1])

m.revoke_access_token()
try:
    Mastodon(access_token="worthless", api_base_url=base).account_verify_credentials()
    sys.exit("a worthless token was taken")
except MastodonUnauthorizedError as e:
    print("worthless token:", e.args[-1])
print("done")
