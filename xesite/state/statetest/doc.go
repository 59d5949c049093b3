// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

// Package statetest is the conformance suite of [state.Store]: what every
// implementation has to do alike, however it keeps its records.
//
// # Overview
//
//	func TestStore(t *testing.T) {
//		statetest.Run(t, func(t *testing.T) state.Store {
//			store, err := mystore.Open(t.TempDir())
//			if err != nil {
//				t.Fatal(err)
//			}
//			return store
//		})
//	}
//
// # What it does not do
//
// It kills nothing and cuts no connections. An implementation has to show by
// tests of its own that a writer killed at any moment loses no update, and
// that a change survives once Swap has returned nil.
package statetest
