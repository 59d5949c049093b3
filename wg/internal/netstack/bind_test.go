// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package netstack

import (
	"errors"
	"syscall"
	"testing"

	"golang.zx2c4.com/wireguard/conn"
)

// oneByOne refuses packets that are sent together.
type oneByOne struct {
	conn.Bind

	sent [][]byte
	full bool
}

func (b *oneByOne) Send(bufs [][]byte, _ conn.Endpoint) error {
	if len(bufs) > 1 || b.full {
		return syscall.EMSGSIZE
	}
	b.sent = append(b.sent, bufs[0])
	return nil
}

func TestWhatIsRefusedTogetherIsSentAlone(t *testing.T) {
	s, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	under := &oneByOne{}
	b := s.Bind(under)
	packets := [][]byte{make([]byte, 1500), make([]byte, 1400), make([]byte, 1300)}
	if err := b.Send(packets, nil); err != nil || len(under.sent) != len(packets) {
		t.Errorf("%d of %d were sent: %v", len(under.sent), len(packets), err)
	}
	under.full = true
	if err := b.Send(packets, nil); !errors.Is(err, syscall.EMSGSIZE) {
		t.Errorf("the error is %v", err)
	}
}
