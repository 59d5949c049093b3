// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package faultproxy

// Fault is what happens to a request.
type Fault int

// The faults. With those of the first group the server never gets the request.
const (
	// None passes request and answer on.
	None Fault = iota

	// CutBefore closes the connection without an answer.
	CutBefore
	// TooMany answers 429 with Retry-After: 7.
	TooMany
	// TooManyDate answers 429 with a date one minute from now in Retry-After.
	TooManyDate
	// Unavailable answers 503.
	Unavailable

	// Late passes the request on, but only after the client has given up.
	Late
	// Held passes the request on, and keeps the answer until the client has
	// given up.
	Held
	// CutAfter passes the request on, and closes the connection in place of the
	// answer.
	CutAfter
	// CutWithin passes the request on, and closes the connection in the middle
	// of the answer's body.
	CutWithin
	// Failed, BadGateway and GatewayTimeout pass the request on, and replace the
	// answer by 500, 502 and 504.
	Failed
	BadGateway
	GatewayTimeout
)

var names = map[Fault]string{
	None: "None", CutBefore: "CutBefore", TooMany: "TooMany", TooManyDate: "TooManyDate", Unavailable: "Unavailable",
	Late: "Late", Held: "Held", CutAfter: "CutAfter", CutWithin: "CutWithin",
	Failed: "Failed", BadGateway: "BadGateway", GatewayTimeout: "GatewayTimeout",
}

// All returns all faults, None not being one.
func All() []Fault {
	return []Fault{
		CutBefore, TooMany, TooManyDate, Unavailable,
		Late, Held, CutAfter, CutWithin, Failed, BadGateway, GatewayTimeout,
	}
}

// String returns the name of the constant.
func (f Fault) String() string { return names[f] }

// Passes reports whether the server gets the request.
func (f Fault) Passes() bool { return f == None || f >= Late }

// Hangs reports whether the client gets an answer only by giving up.
func (f Fault) Hangs() bool { return f == Late || f == Held }

// status is that of the answer that replaces the server's, or 0.
func (f Fault) status() int {
	return map[Fault]int{TooMany: 429, TooManyDate: 429, Unavailable: 503, Failed: 500, BadGateway: 502, GatewayTimeout: 504}[f]
}
