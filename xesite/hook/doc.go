// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

// Package hook receives the webhooks that forges send on a push: it verifies
// them, and hands over which branch was pushed.
//
// # Overview
//
//	github, err := hook.New(hook.Config{
//		Forge:   hook.GitHub,
//		Secrets: []hook.Secret{"It's a Secret to Everybody"},
//		Branch:  "main",
//		Receive: func(ctx context.Context, p hook.Push) (trigger string, err error) {
//			return queue.Add(ctx, p.Branch, p.After)
//		},
//	})
//	if err != nil {
//		return err
//	}
//	mux.Handle("/.within/hook/github", github)
//
// A [Handler] serves one [Forge]. [NewRequest] makes what the forge would
// send, for tests and for trying out a setup.
//
// # Answers
//
// All are JSON and none may be cached.
//
//	202 {"trigger": "…"}                what Receive returned
//	202 {"reason": "duplicate delivery"}
//	200 {"reason": "…"}                 ping, tag, deletion, foreign branch, no push
//	400 {"error": "…"}                  malformed or truncated body
//	401 {"error": "…"}                  missing or wrong signature
//	405, 408, 413                       not POST, body too slow, body too large
//	503 {"error": "…"}                  Receive failed, or no memory for a large body
//
// What is ignored gets a 2xx, since forges disable a hook that answers
// otherwise. Every 503 has a Retry-After.
//
// # Signatures
//
// Nothing of a body is believed before its signature is verified over the raw
// bytes, in constant time, against every one of Config.Secrets; give two to
// rotate one.
//
//	GitHub     X-Hub-Signature-256: sha256=<hex>   HMAC-SHA256
//	Forgejo    X-Forgejo-Signature: <hex>          HMAC-SHA256; X-Gitea-Signature likewise
//	Bitbucket  X-Hub-Signature: sha256=<hex>       HMAC-SHA256
//	GitLab     X-Gitlab-Token: <secret>            or webhook-signature: v1,<base64>
//
// Forgejo and Gitea sign in GitHub's manner too. Where both are present the
// forge's own header decides, and a good GitHub header never makes up for a
// bad one of its own. SHA-1 signatures are not looked at. A GitLab secret that
// starts with "whsec_" is a signing token, as [Standard Webhooks] has them:
// where one is configured and the delivery is signed, the signature decides,
// and it must not be older than five minutes.
//
// # Security
//
// Except for GitLab's signing token no forge signs a time, so whoever
// captured a delivery can send it again. A push is therefore nothing but an
// invitation to look: fetch the branch from the configured remote, and take
// [Push].After as a hint of what to find there. Nothing in a payload says
// where to fetch from; clone URLs in it are not even parsed. Repeated delivery
// ids are dropped, to save work.
//
// Bodies are limited in size, in time, and in number where they are large.
//
// # What it does not do
//
// It neither fetches nor builds, and it does not tell a forge's addresses from
// others.
//
// [Standard Webhooks]: https://www.standardwebhooks.com/
package hook
