// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package dns_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"xeiaso.net/site/wg/internal/dns"
)

// server is one that says what a test wants.
type server struct {
	addr netip.AddrPort
	// says returns the answer to a question, without header and question; nil: none.
	says func(network string, q dnsmessage.Question) *dnsmessage.Message

	mu    sync.Mutex
	asked []string // "udp a.example. TypeA"
}

func serve(t testing.TB, says func(network string, q dnsmessage.Question) *dnsmessage.Message) *server {
	t.Helper()
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	tcp, err := net.Listen("tcp", udp.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { udp.Close(); tcp.Close() })
	s := &server{addr: netip.MustParseAddrPort(udp.LocalAddr().String()), says: says}
	go func() {
		buf := make([]byte, 2000)
		for {
			n, from, err := udp.ReadFrom(buf)
			if err != nil {
				return
			}
			for _, raw := range s.answer("udp", buf[:n]) {
				udp.WriteTo(raw, from)
			}
		}
	}()
	go func() {
		for {
			conn, err := tcp.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				var length [2]byte
				io.ReadFull(conn, length[:])
				raw := make([]byte, binary.BigEndian.Uint16(length[:]))
				io.ReadFull(conn, raw)
				for _, raw := range s.answer("tcp", raw) {
					conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(raw))), raw...))
				}
			}()
		}
	}()
	return s
}

// answer makes messages of what the test says. A message with an id of its own is
// sent before the right one, as somebody would who guesses.
func (s *server) answer(network string, raw []byte) (all [][]byte) {
	var q dnsmessage.Message
	if err := q.Unpack(raw); err != nil {
		panic(err)
	}
	s.mu.Lock()
	s.asked = append(s.asked, network+" "+q.Questions[0].Name.String()+" "+q.Questions[0].Type.String())
	s.mu.Unlock()
	m := s.says(network, q.Questions[0])
	if m == nil {
		return nil
	}
	if len(q.Additionals) == 0 && m.RCode == dnsmessage.RCodeFormatError {
		m.RCode = dnsmessage.RCodeSuccess // an old server is content now
	} else if m.RCode == dnsmessage.RCodeFormatError {
		m.Answers = nil
	}
	if m.ID != 0 {
		m.Response = true
		wrong := *m
		wrong.ID = q.ID + m.ID
		wrong.Questions = q.Questions
		wrong.Answers = []dnsmessage.Resource{a(q.Questions[0].Name.String(), "6.6.6.6")}
		raw, _ := wrong.Pack()
		all = append(all, raw, []byte("noise"), raw[:5])
	}
	m.ID, m.Response, m.RecursionAvailable = q.ID, true, true
	if m.Questions == nil {
		m.Questions = q.Questions
	}
	out, err := m.Pack()
	if err != nil {
		panic(err)
	}
	return append(all, out)
}

func (s *server) questions() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked)
}

func header(name string, t dnsmessage.Type) dnsmessage.ResourceHeader {
	return dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName(name), Type: t, Class: dnsmessage.ClassINET, TTL: 60}
}

func a(name, addr string) dnsmessage.Resource {
	ip := netip.MustParseAddr(addr)
	if ip.Is4() {
		return dnsmessage.Resource{Header: header(name, dnsmessage.TypeA), Body: &dnsmessage.AResource{A: ip.As4()}}
	}
	return dnsmessage.Resource{Header: header(name, dnsmessage.TypeAAAA), Body: &dnsmessage.AAAAResource{AAAA: ip.As16()}}
}

func cname(name, to string) dnsmessage.Resource {
	return dnsmessage.Resource{Header: header(name, dnsmessage.TypeCNAME), Body: &dnsmessage.CNAMEResource{CNAME: dnsmessage.MustNewName(to)}}
}

func txt(name string, parts ...string) dnsmessage.Resource {
	return dnsmessage.Resource{Header: header(name, dnsmessage.TypeTXT), Body: &dnsmessage.TXTResource{TXT: parts}}
}

func soa(zone string, ttl uint32) dnsmessage.Resource {
	h := header(zone, dnsmessage.TypeSOA)
	h.TTL = ttl
	n := dnsmessage.MustNewName(zone)
	return dnsmessage.Resource{Header: h, Body: &dnsmessage.SOAResource{NS: n, MBox: n, MinTTL: ttl}}
}

// zone answers from records, as a server does that looks further: with the whole
// chain.
func zone(records ...dnsmessage.Resource) func(string, dnsmessage.Question) *dnsmessage.Message {
	return func(_ string, q dnsmessage.Question) *dnsmessage.Message {
		m := &dnsmessage.Message{}
		exists := false
		name := q.Name.String()
		for range len(records) {
			for _, r := range records {
				if !strings.EqualFold(r.Header.Name.String(), name) {
					continue
				}
				exists = true
				if r.Header.Type == q.Type {
					m.Answers = append(m.Answers, r)
				} else if c, ok := r.Body.(*dnsmessage.CNAMEResource); ok {
					m.Answers = append(m.Answers, r)
					name = c.CNAME.String()
				}
			}
			if n := len(m.Answers); n == 0 || m.Answers[n-1].Header.Type == q.Type {
				break
			}
		}
		if !exists {
			m.RCode = dnsmessage.RCodeNameError
			m.Authorities = []dnsmessage.Resource{soa("example.", 5)}
		}
		return m
	}
}

func client(servers ...*server) *dns.Client {
	c := &dns.Client{
		IPv4: true, IPv6: true,
		Dial: func(ctx context.Context, network string, server netip.AddrPort) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, network, server.String())
		},
	}
	for _, s := range servers {
		c.Servers = append(c.Servers, s.addr)
	}
	return c
}

func addrs(list ...string) (all []netip.Addr) {
	for _, s := range list {
		all = append(all, netip.MustParseAddr(s))
	}
	return all
}

func TestNamesAreLookedUp(t *testing.T) {
	s := serve(t, zone(
		a("both.example.", "fd00::1"), a("both.example.", "10.0.0.1"), a("both.example.", "10.0.0.2"),
		a("four.example.", "10.0.0.4"),
		cname("alias.example.", "other.example."), cname("other.example.", "four.example."),
		cname("dangling.example.", "nowhere.example."),
		txt("text.example.", "one ", "two"), txt("text.example.", "three"),
		dnsmessage.Resource{Header: header("_http._tcp.example.", dnsmessage.TypeSRV), Body: &dnsmessage.SRVResource{Priority: 1, Weight: 2, Port: 80, Target: dnsmessage.MustNewName("four.example.")}},
		a("app.internal.", "fd00::7"),
	))
	c := client(s)
	c.Search = []string{"internal", "example."}
	for _, tt := range []struct {
		network, host string
		want          []netip.Addr
	}{
		{"ip", "both.example", addrs("fd00::1", "10.0.0.1", "10.0.0.2")},
		{"ip4", "Both.Example.", addrs("10.0.0.1", "10.0.0.2")},
		{"ip6", "both.example", addrs("fd00::1")},
		{"ip", "four.example", addrs("10.0.0.4")},
		{"ip", "alias.example", addrs("10.0.0.4")},
		{"ip", "app", addrs("fd00::7")},
		{"ip", "four", addrs("10.0.0.4")},
		{"ip", "10.1.2.3", addrs("10.1.2.3")},
		{"ip", "::ffff:10.1.2.3", addrs("10.1.2.3")},
		{"ip6", "fd00::9", addrs("fd00::9")},
	} {
		got, err := c.LookupNetIP(t.Context(), tt.network, tt.host)
		if err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("%s %s: %v, %v", tt.network, tt.host, got, err)
		}
	}
	for host, want := range map[string]string{
		"nowhere.example": "no such host", "four.example ip6": "no such record", "dangling.example": "no such host",
		"": "no name", "a b.example": "no name", "..": "no name", strings.Repeat("a", 64) + ".example": "no name", "10.0.0.1 ip6": "no suitable",
	} {
		host, network, ok := strings.Cut(host, " ip")
		if network = "ip" + network; !ok {
			network = "ip"
		}
		_, err := c.LookupNetIP(t.Context(), network, host)
		var e *net.DNSError
		if !errors.As(err, &e) || !e.IsNotFound || e.IsTimeout || e.Name != host || !strings.Contains(e.Err, want) {
			t.Errorf("%q: the error is %#v", host, err)
		}
	}
	if got, err := c.LookupTXT(t.Context(), "text.example"); err != nil || !slices.Equal(got, []string{"one two", "three"}) {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := c.LookupSRV(t.Context(), "http", "tcp", "example"); err != nil || len(got) != 1 || *got[0] != (net.SRV{Target: "four.example.", Port: 80, Priority: 1, Weight: 2}) {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := c.LookupCNAME(t.Context(), "alias.example"); got != "four.example." {
		t.Errorf("%q, %v", got, err)
	}
}

func TestATunnelWithoutIPv4AsksForNone(t *testing.T) {
	s := serve(t, zone(a("app.internal.", "fd00::7"), a("app.internal.", "10.0.0.7")))
	c := client(s)
	c.IPv4 = false
	if got, err := c.LookupNetIP(t.Context(), "ip", "app.internal"); err != nil || !slices.Equal(got, addrs("fd00::7")) {
		t.Errorf("%v, %v", got, err)
	}
	if got := s.questions(); !slices.Equal(got, []string{"udp app.internal. TypeAAAA"}) {
		t.Errorf("%q was asked", got)
	}
	if _, err := c.LookupNetIP(t.Context(), "ip4", "app.internal"); err == nil {
		t.Error("an IPv4 address was found")
	}
}

func TestAnswersAreRememberedWhileTheyAreFresh(t *testing.T) {
	s := serve(t, zone(a("a.example.", "10.0.0.1")))
	c := client(s)
	c.IPv6 = false
	for range 10 {
		if _, err := c.LookupNetIP(t.Context(), "ip", "A.example"); err != nil {
			t.Fatal(err)
		}
		if _, err := c.LookupNetIP(t.Context(), "ip", "nowhere.example"); err == nil {
			t.Fatal("found")
		}
	}
	if got := s.questions(); len(got) != 2 {
		t.Errorf("%q was asked", got)
	}
}

func TestWhatDoesNotFitComesOverTCP(t *testing.T) {
	var many []dnsmessage.Resource
	for i := range 100 {
		many = append(many, a("many.example.", netip.AddrFrom4([4]byte{10, 0, 1, byte(i)}).String()))
	}
	all := zone(many...)
	s := serve(t, func(network string, q dnsmessage.Question) *dnsmessage.Message {
		m := all(network, q)
		if network == "udp" {
			m.Truncated = true
			m.Answers = m.Answers[:min(len(m.Answers), 10)]
		}
		return m
	})
	if got, err := client(s).LookupNetIP(t.Context(), "ip4", "many.example"); err != nil || len(got) != 100 {
		t.Errorf("%d addresses, %v", len(got), err)
	}
}

func TestAnOldServerIsAskedAgainWithoutExtensions(t *testing.T) {
	all := zone(a("a.example.", "10.0.0.1"))
	s := serve(t, func(network string, q dnsmessage.Question) *dnsmessage.Message {
		m := all(network, q)
		m.RCode = dnsmessage.RCodeFormatError
		return m
	})
	if got, err := client(s).LookupNetIP(t.Context(), "ip4", "a.example"); err != nil || len(got) != 1 {
		t.Errorf("%v, %v", got, err)
	}
}

func TestWhoGuessesIsNotHeard(t *testing.T) {
	all := zone(a("a.example.", "10.0.0.1"))
	s := serve(t, func(network string, q dnsmessage.Question) *dnsmessage.Message {
		m := all(network, q)
		m.ID = 1
		return m
	})
	if got, err := client(s).LookupNetIP(t.Context(), "ip4", "a.example"); err != nil || !slices.Equal(got, addrs("10.0.0.1")) {
		t.Errorf("%v, %v", got, err)
	}
	other := serve(t, func(string, dnsmessage.Question) *dnsmessage.Message {
		return &dnsmessage.Message{
			Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName("b.example."), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}},
			Answers:   []dnsmessage.Resource{a("a.example.", "6.6.6.6")},
		}
	})
	if got, err := client(other, s).LookupNetIP(t.Context(), "ip4", "a.example"); err != nil || !slices.Equal(got, addrs("10.0.0.1")) {
		t.Errorf("a server that answers another question: %v, %v", got, err)
	}
}

func TestAServerThatFailsIsReplacedByTheNext(t *testing.T) {
	good := serve(t, zone(a("a.example.", "10.0.0.1")))
	for name, bad := range map[string]*server{
		"silent":  serve(t, func(string, dnsmessage.Question) *dnsmessage.Message { return nil }),
		"failing": serve(t, rcode(dnsmessage.RCodeServerFailure)),
		"refused": serve(t, rcode(dnsmessage.RCodeRefused)),
		"gone":    {addr: netip.MustParseAddrPort("127.0.0.1:9")},
	} {
		if got, err := client(bad, good).LookupNetIP(t.Context(), "ip4", "a.example"); err != nil || !slices.Equal(got, addrs("10.0.0.1")) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
		_, err := client(bad, bad).LookupNetIP(deadline(t), "ip4", "a.example")
		var e *net.DNSError
		if !errors.As(err, &e) || e.IsNotFound || !e.IsTemporary || e.IsTimeout != (name == "silent") {
			t.Errorf("%s alone: the error is %#v", name, err)
		}
	}
	if _, err := client().LookupNetIP(t.Context(), "ip", "a.example"); err == nil || !strings.Contains(err.Error(), "no DNS server") {
		t.Errorf("without a server the error is %v", err)
	}
}

func rcode(c dnsmessage.RCode) func(string, dnsmessage.Question) *dnsmessage.Message {
	return func(string, dnsmessage.Question) *dnsmessage.Message {
		return &dnsmessage.Message{Header: dnsmessage.Header{RCode: c}}
	}
}

// deadline is a context for what takes a while, and would take long.
func deadline(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 700e6)
	t.Cleanup(cancel)
	return ctx
}

func TestALookupEndsWithItsContext(t *testing.T) {
	reached := make(chan struct{}, 10)
	s := serve(t, func(string, dnsmessage.Question) *dnsmessage.Message {
		reached <- struct{}{}
		return nil
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-reached
		cancel()
	}()
	_, err := client(s).LookupNetIP(ctx, "ip", "a.example")
	if !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %#v", err)
	}
	_, err = client(s).LookupNetIP(deadline(t), "ip", "a.example")
	var e *net.DNSError
	if !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &e) || !e.IsTimeout {
		t.Errorf("the error is %#v", err)
	}
}

func TestAChainThatGoesRoundEnds(t *testing.T) {
	s := serve(t, func(_ string, q dnsmessage.Question) *dnsmessage.Message {
		to := "a.example."
		if strings.HasPrefix(q.Name.String(), "a.") {
			to = "b.example."
		}
		return &dnsmessage.Message{Answers: []dnsmessage.Resource{cname(q.Name.String(), to)}}
	})
	if _, err := client(s).LookupNetIP(t.Context(), "ip4", "a.example"); err == nil || !strings.Contains(err.Error(), "too many") {
		t.Errorf("the error is %v", err)
	}
	round := serve(t, func(string, dnsmessage.Question) *dnsmessage.Message {
		return &dnsmessage.Message{Answers: []dnsmessage.Resource{cname("a.example.", "b.example."), cname("b.example.", "a.example.")}}
	})
	if _, err := client(round).LookupNetIP(t.Context(), "ip4", "a.example"); err == nil {
		t.Error("an address was found")
	}
}

func FuzzAnswer(f *testing.F) {
	for _, m := range []*dnsmessage.Message{zone(a("a.example.", "10.0.0.1"))("udp", dnsmessage.Question{Name: dnsmessage.MustNewName("a.example."), Type: dnsmessage.TypeA})} {
		raw, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		// What the server sends, but for the number of the question.
		c := &dns.Client{
			Servers: []netip.AddrPort{netip.MustParseAddrPort("10.0.0.1:53")}, IPv4: true, Timeout: 1,
			Dial: func(_ context.Context, network string, _ netip.AddrPort) (net.Conn, error) {
				ours, theirs := net.Pipe()
				go func() {
					defer theirs.Close()
					q := make([]byte, 2000)
					n, err := theirs.Read(q)
					if err != nil || n < 4 || len(raw) < 2 {
						return
					}
					answer := slices.Clone(raw)
					id := q[:2]
					if network == "tcp" {
						id = q[2:4]
						theirs.Write(binary.BigEndian.AppendUint16(nil, uint16(len(answer))))
					}
					copy(answer, id)
					theirs.Write(answer)
				}()
				return ours, nil
			},
		}
		addrs, err := c.LookupNetIP(t.Context(), "ip", "a.example")
		var e *net.DNSError
		if err == nil && len(addrs) == 0 || err != nil && !errors.As(err, &e) {
			t.Errorf("%v, %v", addrs, err)
		}
	})
}
