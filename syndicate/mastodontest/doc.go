// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

// Package mastodontest is a server for tests of clients of Mastodon's API. It
// refuses what Mastodon refuses, in the same words, and fails in the ways that
// lose answers, when it is told to.
//
// # Overview
//
//	fake := mastodontest.New(mastodontest.Config{})
//	server := httptest.NewTLSServer(fake)
//	defer server.Close()
//	token := fake.Token("blog", "my app", "read", "write")
//	fake.Next(1, mastodontest.Fault{Kind: mastodontest.ErrorAfter})
//	…
//	if n := len(fake.Statuses()); n != 1 {
//		t.Errorf("there are %d statuses", n)
//	}
//
// # What it has
//
// Registration of applications and the grants authorization_code and
// client_credentials; the account's own statuses: create, show, source, edit,
// delete, list in pages; media, also with processing that takes time; both
// instance documents; rate limits; idempotency keys as they are stored for an
// hour after a status was made. Timelines, contexts and accounts are there as
// far as clients ask for them along the way.
//
// Lengths are counted by rules of this package's own, from Mastodon's
// documentation, so that a client's count is held against another.
//
// # What it does not do
//
// It has local accounts only, and nothing federates. Polls, scheduled statuses
// and quotes are refused. The password grant is refused, as by Mastodon since
// 4.4. It is not fit for anything but tests: it keeps all in memory, for ever.
package mastodontest
