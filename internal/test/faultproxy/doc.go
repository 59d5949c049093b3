// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

// Package faultproxy stands between a client and an HTTP server, on loopback,
// and does to requests what networks, proxies and busy servers do to them.
//
//	proxy := faultproxy.Start(t, server.URL)
//	proxy.Once("POST /api/v1/statuses", faultproxy.CutAfter)
//	… // the client, which knows proxy.URL only, gets no answer to its status
//	proxy.Log() // ["POST /api/v1/statuses: CutAfter, server answered 200"]
//
// What matters of each [Fault] is whether the server got the request, which the
// client cannot tell.
package faultproxy
