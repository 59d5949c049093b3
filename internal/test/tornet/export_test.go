// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package tornet

// PIDs returns the processes of the network.
func (n *Network) PIDs() (pids []int) {
	for _, node := range n.nodes {
		pids = append(pids, node.PID)
	}
	return pids
}
