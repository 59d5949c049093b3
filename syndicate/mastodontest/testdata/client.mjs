// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

// Does with masto.js what a person does: once through everything.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";

const [module, url, username, password, picture] = process.argv.slice(2);
const { createOAuthAPIClient, createRestAPIClient } = await import(module);

const redirectUri = "https://app.example/callback?from=masto";
const scopes = "read write:statuses write:media";
const app = await createRestAPIClient({ url }).v1.apps.create({ clientName: "a JavaScript program", redirectUris: redirectUri, scopes });
const form = new URLSearchParams({ response_type: "code", client_id: app.clientId, redirect_uri: redirectUri, scope: scopes, state: "42", username, password });
const agreed = await fetch(url + "/oauth/authorize", { method: "POST", body: form, redirect: "manual" });
const back = new URL(agreed.headers.get("location"));
assert.equal(back.searchParams.get("state"), "42");
const oauth = createOAuthAPIClient({ url });
const token = await oauth.token.create({
  clientId: app.clientId, clientSecret: app.clientSecret, redirectUri, grantType: "authorization_code", code: back.searchParams.get("code"),
});

const masto = createRestAPIClient({ url, accessToken: token.accessToken });
const me = await masto.v1.accounts.verifyCredentials();
const instance = await masto.v2.instance.fetch();
console.log("logged in as", me.acct, "on version", instance.version, "with limits", instance.configuration.statuses);

const file = new Blob([await readFile(picture)], { type: "image/png" });
const media = await masto.v2.media.create({ file, description: "A red dot" });
assert.equal(media.description, "A red dot");
console.log("uploaded", media.id, media.url);

const once = { requestInit: { headers: { "Idempotency-Key": "js-1" } } };
const text = "Hello from JavaScript: https://blog.example/2";
const first = await masto.v1.statuses.create({ status: text, mediaIds: [media.id], language: "en" }, once);
assert.equal(first.mediaAttachments.length, 1);
const second = await masto.v1.statuses.create({ status: text }, once);
assert.equal(second.id, first.id);
console.log("posted", first.url, first.content);

const edited = await masto.v1.statuses.$select(first.id).update({
  status: "Hello again from JavaScript: https://blog.example/2", mediaIds: [media.id], mediaAttributes: [{ id: media.id, description: "A small red dot" }],
});
assert.ok(edited.editedAt);
assert.equal(edited.mediaAttachments[0].description, "A small red dot");
const source = await masto.v1.statuses.$select(first.id).source.fetch();
console.log("edited", source.text);

for (let i = 0; i < 4; i++) {
  await masto.v1.statuses.create({ status: `number ${i}` });
}
const listed = [];
for await (const page of masto.v1.accounts.$select(me.id).statuses.list({ limit: 2, excludeReblogs: true })) {
  listed.push(...page);
}
assert.equal(listed.length, 5);
assert.equal(listed.at(-1).id, first.id);
console.log("listed", listed.length, "statuses in pages of two");

for (const [name, wrong] of Object.entries({
  "too long": { status: "x".repeat(501) },
  "unknown visibility": { status: "x", visibility: "friends" },
  "media that are not there": { status: "x", mediaIds: ["1"] },
  "too many media": { status: "x", mediaIds: ["1", "2", "3", "4", "5"] },
})) {
  await assert.rejects(masto.v1.statuses.create(wrong), (e) => {
    console.log(name + ":", e.statusCode, e.message);
    return e.statusCode === 422;
  });
}
for (const status of listed) {
  await masto.v1.statuses.$select(status.id).remove();
}
assert.deepEqual(await masto.v1.accounts.$select(me.id).statuses.list(), []);
await assert.rejects(masto.v1.statuses.$select(first.id).fetch(), (e) => e.statusCode === 404);
console.log("done");
