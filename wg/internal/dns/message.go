// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package dns

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// maxUDP is how long a message over UDP may be, in bytes, so that it is not cut into
// packets on the way: https://www.dnsflagday.net/2020/.
const maxUDP = 1232

// A message is an answer that was read as a whole.
type message struct {
	header    dnsmessage.Header
	answers   []dnsmessage.Resource
	authority []dnsmessage.Resource
}

// question is a message to a server. Old servers do not take the record by which
// longer answers are asked for.
func question(id uint16, name dnsmessage.Name, t dnsmessage.Type, extended bool) ([]byte, error) {
	b := dnsmessage.NewBuilder(nil, dnsmessage.Header{ID: id, RecursionDesired: true})
	b.EnableCompression()
	if err := b.StartQuestions(); err != nil {
		return nil, err
	}
	if err := b.Question(dnsmessage.Question{Name: name, Type: t, Class: dnsmessage.ClassINET}); err != nil {
		return nil, err
	}
	if extended {
		if err := b.StartAdditionals(); err != nil {
			return nil, err
		}
		var h dnsmessage.ResourceHeader
		if err := h.SetEDNS0(maxUDP, dnsmessage.RCodeSuccess, false); err != nil {
			return nil, err
		}
		if err := b.OPTResource(h, dnsmessage.OPTResource{}); err != nil {
			return nil, err
		}
	}
	return b.Finish()
}

// errOther: a message is no answer to the question.
var errOther = errors.New("the answer is to another question")

// parse reads an answer to a question.
func parse(raw []byte, id uint16, name dnsmessage.Name, t dnsmessage.Type) (*message, error) {
	var p dnsmessage.Parser
	h, err := p.Start(raw)
	if err != nil {
		return nil, err
	}
	if !h.Response || h.ID != id {
		return nil, errOther
	}
	q, err := p.Question()
	// A server that does not understand the question need not repeat it.
	if err == nil && (!same(q.Name, name) || q.Type != t || q.Class != dnsmessage.ClassINET) || err != nil && h.RCode == dnsmessage.RCodeSuccess {
		return nil, errOther
	}
	m := &message{header: h}
	if h.Truncated || h.RCode != dnsmessage.RCodeSuccess && h.RCode != dnsmessage.RCodeNameError {
		return m, nil
	}
	if err := p.SkipAllQuestions(); err != nil {
		return nil, err
	}
	if m.answers, err = p.AllAnswers(); err != nil {
		return nil, err
	}
	m.authority, err = p.AllAuthorities()
	return m, err
}

// exchange asks a server until it answers, or ctx ends.
func (c *Client) exchange(ctx context.Context, server netip.AddrPort, name dnsmessage.Name, t dnsmessage.Type) (*message, error) {
	extended := true
	m, err := c.overUDP(ctx, server, name, t, extended)
	if err == nil && (m.header.RCode == dnsmessage.RCodeFormatError || m.header.RCode == dnsmessage.RCodeNotImplemented) {
		extended = false
		m, err = c.overUDP(ctx, server, name, t, extended)
	}
	if err == nil && m.header.Truncated {
		return c.overTCP(ctx, server, name, t, extended)
	}
	return m, err
}

// ended closes a connection when ctx ends.
func ended(ctx context.Context, conn net.Conn) (stop func() bool) {
	return context.AfterFunc(ctx, func() { conn.Close() })
}

// overUDP sends a question again while nobody answers: a packet can get lost.
func (c *Client) overUDP(ctx context.Context, server netip.AddrPort, name dnsmessage.Name, t dnsmessage.Type, extended bool) (*message, error) {
	conn, err := c.Dial(ctx, "udp", server)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer ended(ctx, conn)()
	id := newID()
	raw, err := question(id, name, t, extended)
	if err != nil {
		return nil, err
	}
	for wait := time.Second; ; wait *= 2 {
		if _, err := conn.Write(raw); err != nil {
			return nil, cause(ctx, err)
		}
		m, err := hear(conn, wait, id, name, t)
		var timeout net.Error
		if err == nil || ctx.Err() != nil || !errors.As(err, &timeout) || !timeout.Timeout() {
			return m, cause(ctx, err)
		}
	}
}

// hear waits for the answer for a while. Packets that are none do not count: anybody
// can send them.
func hear(conn net.Conn, wait time.Duration, id uint16, name dnsmessage.Name, t dnsmessage.Type) (*message, error) {
	if err := conn.SetReadDeadline(time.Now().Add(wait)); err != nil {
		return nil, err
	}
	buf := make([]byte, 64<<10)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return nil, err
		}
		if m, err := parse(buf[:n], id, name, t); err == nil {
			return m, nil
		}
	}
}

// overTCP asks where answers can have any length.
func (c *Client) overTCP(ctx context.Context, server netip.AddrPort, name dnsmessage.Name, t dnsmessage.Type, extended bool) (*message, error) {
	conn, err := c.Dial(ctx, "tcp", server)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer ended(ctx, conn)()
	id := newID()
	raw, err := question(id, name, t, extended)
	if err != nil {
		return nil, err
	}
	framed := append(binary.BigEndian.AppendUint16(nil, uint16(len(raw))), raw...)
	if _, err := conn.Write(framed); err != nil {
		return nil, cause(ctx, err)
	}
	var length [2]byte
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		return nil, cause(ctx, err)
	}
	body := make([]byte, binary.BigEndian.Uint16(length[:]))
	if _, err := io.ReadFull(conn, body); err != nil {
		return nil, cause(ctx, err)
	}
	m, err := parse(body, id, name, t)
	if err == nil && m.header.Truncated {
		err = errors.New("the answer does not fit into a message")
	}
	return m, err
}

// cause is why a connection has failed: it was closed because ctx has ended.
func cause(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// newID is a number that others do not know, RFC 5452.
func newID() uint16 {
	var b [2]byte
	rand.Read(b[:]) // never fails
	return binary.BigEndian.Uint16(b[:])
}

// answer takes what was asked for out of a message.
func (m *message) answer(server netip.AddrPort, name dnsmessage.Name, t dnsmessage.Type) (answer, error) {
	switch m.header.RCode {
	case dnsmessage.RCodeSuccess, dnsmessage.RCodeNameError:
	default:
		return answer{}, &net.DNSError{
			Err: fmt.Sprintf("the server says %s", rcode(m.header.RCode)), Server: server.String(), IsTemporary: true,
		}
	}
	a := answer{name: name, ttl: maxTTL}
	for range len(m.answers) + 1 {
		next, ok := m.alias(a.name, t, &a)
		if !ok {
			break
		}
		a.name = next
	}
	for _, r := range m.answers {
		if r.Header.Type == t && r.Header.Class == dnsmessage.ClassINET && same(r.Header.Name, a.name) {
			a.records = append(a.records, r.Body)
			a.lives(r.Header.TTL)
		}
	}
	if len(a.records) > 0 {
		return a, nil
	}
	a.lives(m.negativeTTL())
	switch {
	case m.header.RCode == dnsmessage.RCodeNameError:
		a.err = notFound(errNoName)
	case same(a.name, name): // a name that has led on is asked for again
		a.err = notFound(errNoRecord)
	}
	if a.err != nil {
		a.err.Server = server.String()
	}
	return a, nil
}

// alias returns what a name is another name for.
func (m *message) alias(name dnsmessage.Name, t dnsmessage.Type, a *answer) (dnsmessage.Name, bool) {
	for _, r := range m.answers {
		if b, ok := r.Body.(*dnsmessage.CNAMEResource); ok && t != dnsmessage.TypeCNAME && same(r.Header.Name, name) && !same(b.CNAME, name) {
			a.lives(r.Header.TTL)
			return b.CNAME, true
		}
	}
	return name, false
}

// lives bounds how long an answer is fresh.
func (a *answer) lives(seconds uint32) {
	a.ttl = min(a.ttl, time.Duration(seconds)*time.Second)
}

// negativeTTL is for how long there will be nothing, in seconds: RFC 2308, 5.
func (m *message) negativeTTL() uint32 {
	for _, r := range m.authority {
		if b, ok := r.Body.(*dnsmessage.SOAResource); ok {
			return min(r.Header.TTL, b.MinTTL, maxNegativeTTL)
		}
	}
	return 0
}

// rcode is what a server's code means, RFC 1035, 4.1.1.
func rcode(c dnsmessage.RCode) string {
	switch c {
	case dnsmessage.RCodeFormatError:
		return "that it does not understand the question (FORMERR)"
	case dnsmessage.RCodeServerFailure:
		return "that it has failed (SERVFAIL)"
	case dnsmessage.RCodeNotImplemented:
		return "that it cannot do that (NOTIMP)"
	case dnsmessage.RCodeRefused:
		return "that it does not want to answer (REFUSED)"
	}
	return fmt.Sprintf("code %d", c)
}
