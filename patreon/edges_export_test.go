// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package patreon

// Remembered is how many deliveries the handler remembers.
func (h *WebhookHandler) Remembered() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.seen)
}

// Kept is how many answers the proxy keeps, and how large they are in bytes.
func (s *TokenServer) Kept() (n, size int) {
	s.proxy.mu.Lock()
	defer s.proxy.mu.Unlock()
	return len(s.proxy.kept), s.proxy.size
}
