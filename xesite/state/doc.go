// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

// Package state keeps small records that several processes change at once,
// by compare-and-swap.
//
// # Overview
//
// A [Store] maps keys to short values. [Dir] keeps them in a directory, [Mem]
// in memory; other implementations pass the same conformance suite, package
// [xeiaso.net/site/xesite/state/statetest].
//
//	store, err := state.OpenDir("var/state")
//	if err != nil {
//		return err
//	}
//	// Claim what nobody holds.
//	won, err := store.Swap(ctx, "lease/builder", nil, []byte(`{"holder":"a","nonce":"…"}`))
//
// The interface uses nothing but standard types, so that a package can state
// its need for a store without importing this one.
//
// # Values carry a generation and a nonce
//
// Swap compares content, so equal content has to mean equal state: a record
// that goes from A to B and back to A fools a writer that read the first A.
// Put a generation that rises with each write into every value, and a random
// nonce of the writer's ([crypto/rand.Text]), which also tells apart two
// writers that write the same thing at the same time.
//
// # Failure behaviour
//
// An error from Swap means unknown: the value may or may not have been
// written, and with a store across a network it may yet be. Load and compare;
// equal to mine means won. A killed process finds its own last write the same
// way. A false from Swap without an error is certain: nothing was written.
//
// A nil error from Swap means that the change survives a power failure, and
// so does a value that Load returned: nobody acts on what could vanish.
//
// # Limits
//
// A value has 1 to [MaxValue] bytes. A key has at most [MaxKey] bytes and is
// made of elements of a-z, 0-9, '.', '_' and '-', separated by '/'; hash
// whatever else is to be a key. "a" and "a/b" are both keys, and independent.
// [CheckKey] and [CheckSwap] hold the rules for implementations.
//
// # What it does not do
//
// There are no transactions over several keys, no expiry and no notification.
// It is made for thousands of records, not for millions, and for some hundred
// changes a second.
package state
