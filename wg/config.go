// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package wg

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Config is one end of a tunnel, and the peers at its others. PrivateKey and
// Addresses are required.
type Config struct {
	PrivateKey Key

	// Addresses are those of this end, with the networks that they are in. The
	// networks say nothing about what is reached: that is [Peer.AllowedIPs].
	Addresses []netip.Prefix

	// DNS are the servers for names inside the tunnel. If there are none, and an
	// address is of Fly.io, it is the server of that network.
	DNS []netip.Addr

	// Search are domains: names in them are looked up inside the tunnel, and names
	// without a dot are tried in them.
	Search []string

	// MTU is how long a packet inside the tunnel may be, in bytes. If 0, 1420.
	MTU int

	// ListenPort is the UDP port of this end. If 0, a free one.
	ListenPort uint16

	Peers []Peer

	// Ignored are lines of a file that this package does not act on, such as "PostUp"
	// and "Table": nothing of the host is changed, and no command is run.
	Ignored []string
}

// Peer is another end. PublicKey is required.
type Peer struct {
	PublicKey    PublicKey
	PresharedKey Key

	// Endpoint is where the peer is, as "name.example:51820", "192.0.2.1:51820" or
	// "[2001:db8::1]:51820". If empty, the peer has to come to us.
	Endpoint string

	// AllowedIPs are what the peer has behind it: packets for these addresses go to
	// it, and only packets from these are taken from it.
	AllowedIPs []netip.Prefix

	// Keepalive is how often something is sent to the peer when there is nothing to
	// say, so that firewalls in between keep the way open. If 0, nothing is. It is
	// rounded to seconds, so that less than half of one is 0.
	Keepalive time.Duration
}

// Format writes a summary without keys.
func (c Config) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "wg.Config(%v, %d peers)", c.Addresses, len(c.Peers))
}

// ParseError is about one line of a file.
type ParseError struct {
	Line int    // from 1
	Key  string // such as "AllowedIPs"; empty if the line has none
	Err  error
}

// Error implements error.
func (e *ParseError) Error() string {
	if e.Key == "" {
		return fmt.Sprintf("wg: line %d: %v", e.Line, e.Err)
	}
	return fmt.Sprintf("wg: line %d, %s: %v", e.Line, e.Key, e.Err)
}

// Unwrap returns Err.
func (e *ParseError) Unwrap() error { return e.Err }

// keyLength is the least that counts as a key in [quoted]; a whole one has 43 characters
// and a =.
const keyLength = 32

// quoted is part of a file as an error shows it. What could be a key is left out: lines
// lose their ends, and values come to the wrong place.
func quoted(s string) string {
	isKey := func(r rune) bool {
		return r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || r == '+' || r == '/'
	}
	var b strings.Builder
	for s != "" {
		end := strings.IndexFunc(s, func(r rune) bool { return !isKey(r) })
		if end < 0 {
			end = len(s)
		}
		if word := s[:end]; len(word) < keyLength {
			b.WriteString(word)
		} else {
			b.WriteString(redacted)
		}
		rest := strings.TrimLeftFunc(s[end:], func(r rune) bool { return !isKey(r) })
		b.WriteString(s[end : len(s)-len(rest)])
		s = rest
	}
	return strconv.Quote(b.String())
}

// maxConfig is how long a file may be, in bytes.
const maxConfig = 1 << 20

// ParseConfig reads a file as wg-quick(8) and wg(8) have it. Errors are of type
// [*ParseError], if they are about a line.
func ParseConfig(r io.Reader) (*Config, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxConfig+1))
	if err != nil {
		return nil, fmt.Errorf("wg: read the configuration: %w", err)
	}
	if len(text) > maxConfig {
		return nil, fmt.Errorf("wg: the configuration has more than %d bytes", maxConfig)
	}
	p := parser{config: &Config{}}
	for line := range strings.Lines(strings.TrimPrefix(string(text), "\ufeff")) {
		p.line++
		if err := p.parse(line); err != nil {
			return nil, &ParseError{Line: p.line, Key: p.key, Err: err}
		}
	}
	if err := p.endSection(); err != nil {
		return nil, err
	}
	if err := p.config.check(); err != nil {
		return nil, err
	}
	return p.config, nil
}

// parser is at one line of a file.
type parser struct {
	config  *Config
	section string // lower case; empty before the first
	began   int    // line of the section
	peer    *Peer
	seen    map[string]bool // of this section; keys that may stand once
	line    int
	key     string
}

func (p *parser) parse(line string) error {
	p.key = ""
	line, _, _ = strings.Cut(line, "#")
	line = strings.TrimSpace(line)
	if line == "" {
		return nil
	}
	if line[0] == '[' {
		return p.beginSection(line)
	}
	key, value, ok := strings.Cut(line, "=")
	p.key, value = strings.TrimSpace(key), strings.TrimSpace(value)
	switch {
	case !ok:
		p.key = ""
		return errors.New("it is neither a section, such as [Peer], nor of the form: key = value")
	case strings.ContainsFunc(p.key, func(r rune) bool { return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') }):
		p.key = ""
		return errors.New("what stands before the = is no key of letters")
	}
	switch p.section {
	case "interface":
		return p.inInterface(strings.ToLower(p.key), value)
	case "peer":
		return p.inPeer(strings.ToLower(p.key), value)
	}
	return errors.New("it stands before the first section, [Interface] or [Peer]")
}

func (p *parser) beginSection(line string) error {
	if err := p.endSection(); err != nil {
		return err
	}
	name := strings.ToLower(strings.TrimSuffix(line[1:], "]"))
	if line[len(line)-1] != ']' || name != "interface" && name != "peer" {
		return fmt.Errorf("%s is no section: want [Interface] or [Peer]", quoted(line))
	}
	p.section, p.began, p.seen = name, p.line, map[string]bool{}
	if name == "peer" {
		p.config.Peers = append(p.config.Peers, Peer{})
		p.peer = &p.config.Peers[len(p.config.Peers)-1]
	}
	return nil
}

func (p *parser) endSection() error {
	if p.section == "peer" && p.peer.PublicKey.IsZero() {
		return &ParseError{Line: p.began, Err: errors.New("this peer has no PublicKey")}
	}
	return nil
}

// once refuses a key that stands twice: which of them counts, readers of the file
// would have to know.
func (p *parser) once(key string) error {
	if p.seen[key] {
		return errors.New("it stands there twice in this section")
	}
	p.seen[key] = true
	return nil
}

func (p *parser) inInterface(key, value string) (err error) {
	c := p.config
	switch key {
	case "address":
		return each(value, func(s string) error {
			prefix, err := parsePrefix(s)
			c.Addresses = append(c.Addresses, prefix)
			return err
		})
	case "dns":
		return each(value, c.addDNS)
	case "preup", "postup", "predown", "postdown":
		// Of the value nothing is kept: commands often have secrets in them.
		c.Ignored = append(c.Ignored, fmt.Sprintf("line %d: %s", p.line, p.key))
		return nil
	}
	if err := p.once(key); err != nil {
		return err
	}
	switch key {
	case "privatekey":
		c.PrivateKey, err = ParseKey(value)
	case "listenport":
		var n int
		n, err = number(value, 0, 65535)
		c.ListenPort = uint16(n)
	case "mtu":
		c.MTU, err = number(value, minMTU, 65535)
	case "table", "saveconfig", "fwmark":
		c.Ignored = append(c.Ignored, fmt.Sprintf("line %d: %s", p.line, p.key))
	default:
		err = errors.New("an [Interface] has no such key")
	}
	return err
}

const (
	// minMTU is the least that IPv4 calls for; IPv6 wants 1280.
	minMTU = 576
	// defaultMTU leaves room for what WireGuard adds on a path that carries 1500 bytes.
	defaultMTU = 1420
)

func (c *Config) addDNS(s string) error {
	if addr, err := netip.ParseAddr(s); err == nil {
		c.DNS = append(c.DNS, addr.Unmap())
		return nil
	}
	domain := strings.ToLower(strings.TrimSuffix(s, "."))
	if !isDomain(domain) {
		return fmt.Errorf("%s is neither the address of a server nor a domain", quoted(s))
	}
	c.Search = append(c.Search, domain)
	return nil
}

// isDomain reports whether a name can be looked up.
func isDomain(name string) bool {
	if name == "" || len(name) > 253 {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || strings.ContainsFunc(label, func(r rune) bool {
			return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_'
		}) {
			return false
		}
	}
	return true
}

func (p *parser) inPeer(key, value string) (err error) {
	if key == "allowedips" {
		return each(value, func(s string) error {
			prefix, err := parsePrefix(s)
			p.peer.AllowedIPs = append(p.peer.AllowedIPs, prefix.Masked())
			return err
		})
	}
	if err := p.once(key); err != nil {
		return err
	}
	switch key {
	case "publickey":
		p.peer.PublicKey, err = ParsePublicKey(value)
	case "presharedkey":
		p.peer.PresharedKey, err = ParseKey(value)
	case "endpoint":
		p.peer.Endpoint, err = value, checkEndpoint(value)
	case "persistentkeepalive":
		var n int
		if !strings.EqualFold(value, "off") {
			n, err = number(value, 0, 65535)
		}
		p.peer.Keepalive = time.Duration(n) * time.Second
	default:
		err = errors.New("a [Peer] has no such key")
	}
	return err
}

// each calls f for what stands between commas. An empty list is one.
func each(list string, f func(string) error) error {
	if list == "" {
		return nil
	}
	for s := range strings.SplitSeq(list, ",") {
		if err := f(strings.TrimSpace(s)); err != nil {
			return err
		}
	}
	return nil
}

// parsePrefix reads an address with or without the length of its network.
func parsePrefix(s string) (netip.Prefix, error) {
	address, length, hasLength := strings.Cut(s, "/")
	addr, err := netip.ParseAddr(address)
	if err != nil || addr.Zone() != "" {
		return netip.Prefix{}, fmt.Errorf("%s is no address, such as 10.0.0.2/24 or fd00::2/64", quoted(s))
	}
	bits := addr.BitLen()
	if hasLength {
		if bits, err = number(length, 0, bits); err != nil {
			return netip.Prefix{}, fmt.Errorf("the length of the network of %s: %w", quoted(s), err)
		}
	}
	if addr.Is4In6() {
		if bits -= 96; hasLength && bits < 0 {
			return netip.Prefix{}, fmt.Errorf("%s is an IPv4 address in the form of IPv6; write it as IPv4", quoted(s))
		} else if !hasLength {
			bits = 32
		}
		addr = addr.Unmap()
	}
	return netip.PrefixFrom(addr, bits), nil
}

func number(s string, least, most int) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < least || n > most {
		return 0, fmt.Errorf("%s is no number from %d to %d", quoted(s), least, most)
	}
	return n, nil
}

// checkEndpoint reports what is wrong with the place of a peer.
func checkEndpoint(s string) error {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return fmt.Errorf("%s is not of the form host:port; an IPv6 address stands in brackets", quoted(s))
	}
	if _, err := number(port, 1, 65535); err != nil {
		return fmt.Errorf("the port of %s: %w", quoted(s), err)
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return nil
	}
	if strings.HasPrefix(s, "[") || !isDomain(strings.ToLower(strings.TrimSuffix(host, "."))) {
		return fmt.Errorf("the host of %s is neither an address nor a name", quoted(s))
	}
	return nil
}

// check reports what is wrong with a configuration, wherever it is from.
func (c *Config) check() error {
	if c.PrivateKey.IsZero() {
		return errors.New("wg: there is no PrivateKey; \"wg genkey\" makes one")
	}
	if len(c.Addresses) == 0 {
		return errors.New("wg: there is no Address: it is the one that this end has inside the tunnel")
	}
	for _, a := range c.Addresses {
		if addr := a.Addr().Unmap(); !a.IsValid() || addr.IsUnspecified() || addr.IsMulticast() {
			return fmt.Errorf("wg: the address %s cannot be that of this end", a)
		}
	}
	for _, d := range c.Search {
		if !isDomain(d) {
			return fmt.Errorf("wg: the domain %q is none; it is written in lower case, without a dot at the end", d)
		}
	}
	if c.MTU != 0 && (c.MTU < minMTU || c.MTU > 65535) {
		return fmt.Errorf("wg: the MTU is %d, want %d to 65535", c.MTU, minMTU)
	}
	own := c.PrivateKey.Public()
	for i := range c.Peers {
		p := &c.Peers[i]
		if err := p.check(); err != nil {
			return err
		}
		if p.PublicKey == own {
			return fmt.Errorf("wg: the peer %s has the key of this end: give the PublicKey of the other one", p.PublicKey)
		}
		if slices.ContainsFunc(c.Peers[:i], func(other Peer) bool { return other.PublicKey == p.PublicKey }) {
			return fmt.Errorf("wg: there are two peers with the key %s: put their AllowedIPs together", p.PublicKey)
		}
	}
	return nil
}

func (p *Peer) check() error {
	if p.PublicKey.IsZero() {
		return errors.New("wg: a peer has no PublicKey")
	}
	if p.Endpoint != "" {
		if err := checkEndpoint(p.Endpoint); err != nil {
			return fmt.Errorf("wg: the endpoint of %s: %w", p.PublicKey, err)
		}
	}
	if p.Keepalive < 0 || p.Keepalive > 65535*time.Second {
		return fmt.Errorf("wg: the keepalive of %s is %s, want 0 to 65535 seconds", p.PublicKey, p.Keepalive)
	}
	for _, a := range p.AllowedIPs {
		if !a.IsValid() {
			return fmt.Errorf("wg: the peer %s has an AllowedIPs that is none", p.PublicKey)
		}
		if a.Addr().Is4In6() { // no packet would ever match
			return fmt.Errorf("wg: the peer %s has %s in its AllowedIPs: write it as IPv4", p.PublicKey, a)
		}
	}
	return nil
}

// flyNetwork is where Fly.io has its private networks: each has the first 48 bits of
// its addresses for its own, and a name server at the third.
var flyNetwork = netip.MustParsePrefix("fdaa::/16")

// servers are the name servers inside the tunnel.
func (c *Config) servers() []netip.Addr {
	if len(c.DNS) > 0 {
		return c.DNS
	}
	for _, a := range c.Addresses {
		if flyNetwork.Contains(a.Addr()) {
			network := a.Addr().As16()
			clear(network[6:])
			network[15] = 3
			return []netip.Addr{netip.AddrFrom16(network)}
		}
	}
	return nil
}
