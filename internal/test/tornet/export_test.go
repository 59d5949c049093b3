// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package tornet

import (
	"testing"

	"xeiaso.net/site/internal/test/need"
)

// PIDs returns the processes of the network.
func (n *Network) PIDs() (pids []int) {
	for _, node := range n.nodes {
		pids = append(pids, node.PID)
	}
	return pids
}

// Fresh starts another network, until the test ends.
func Fresh(t testing.TB) *Network {
	t.Helper()
	n, err := start(need.Program(t, "tor", ""), need.Program(t, "tor-gencert", ""))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.end)
	return n
}
