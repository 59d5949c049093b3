// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

// Package gittest sets up real git for tests: a repository with a clone to
// work in, and servers for it over HTTP and SSH that can be told to misbehave.
//
// # Overview
//
//	repo := gittest.New(t)
//	repo.Write("index.html", "hello")
//	first := repo.Commit("first")
//	repo.Push()
//	server := repo.HTTPServer("a-token")
//	server.SetFault(gittest.Cut)
//	// … clone server.URL, which fails in the middle of the pack
//
// Nothing outside of the test's temporary directory is read or written, the
// configuration of who runs the test included, and equal calls give equal
// commits. What is started ends with the test. Every method fails the test
// rather than return an error.
package gittest
