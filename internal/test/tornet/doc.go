// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

// Package tornet runs a private Tor network on loopback, for tests of onion services:
// one directory authority, three relays and a client. Nothing of it reaches the real
// network, or can be reached from another machine.
//
//	func TestMain(m *testing.M) { os.Exit(tornet.Main(m)) }
//
//	func TestService(t *testing.T) {
//		n := tornet.Need(t)
//		// … start the service with n.Torrc() in its configuration
//		resp, body := n.Client.Fetch(t, "http://"+address+"/")
//	}
//
// One network serves all tests of a binary. It takes about nine seconds to start, up to
// thirty on a machine with ten times more to do than it can, and from 25 MB of memory,
// at rest, to 300 MB. It ends with the binary, however that ends; one that is killed
// leaves a folder named tornet… among the temporary ones.
//
// # The directory
//
// A tor knows the network by a consensus, which authorities vote on at fixed times.
// The rig has the authority vote as soon as it knows all relays, by moving those times
// (TestingV3AuthVotingStartOffset), and starts clients only when all relays have what
// was agreed on. The alternative is an authority that votes all the time: then a relay
// that is late waits for another round, and what clients and services know changes
// under the tests.
//
// Where the descriptor of a service is kept changes twice in 24 intervals between
// votes, at times that only the clock determines. The interval is half an hour, so this
// happens at midnight, at noon and halfway between, and most tests see one consensus
// only. (With the usual ten seconds it would happen every two minutes.) There are fewer
// relays than places for a descriptor: those who look for it find it in any case.
package tornet
