// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

// Package dns looks up names at given servers, over connections that somebody else
// makes. It knows nothing of the host: neither its servers nor its list of names.
//
// [Client] is a stub resolver as RFC 1034 5.3.1 has it: it asks servers that look
// further themselves. Messages are those of RFC 1035, larger ones by RFC 6891, and
// what does not fit comes over TCP, RFC 7766.
package dns
