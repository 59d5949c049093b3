// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

// Package pds runs the official server of Bluesky accounts, @atproto/pds, with
// a directory of identities beside it.
//
//	server := pds.Start(t)
//	account := server.Account(t)
//	… // announce something at server.URL as account.Handle
//	records := server.Records(t, account.DID)
//
// The server listens on all interfaces and cannot be told not to. So it runs in
// a network namespace of its own, where nobody else is, and gets the one
// listener on 127.0.0.1 by which tests reach it as an open file. Its data are in
// a mount namespace, in memory. Both end with the process, and that ends with
// the test binary, however that ends.
//
// One server serves all tests of a binary: it takes two seconds to start and
// 200 MB of memory. Each test has an account of its own.
package pds
