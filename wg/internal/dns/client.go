// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package dns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// Client looks up names. Servers and Dial are required. Its fields must not be
// changed once it is used; it is safe for concurrent use.
type Client struct {
	// Servers are asked in this order: the next one when one has not answered for a
	// while, or says that it cannot.
	Servers []netip.AddrPort

	// Search are domains that names are looked up in: those without a dot first in
	// them, others after they were not found as they are.
	Search []string

	// IPv4 and IPv6 are the kinds of addresses that are of use.
	IPv4, IPv6 bool

	// Dial connects to a server; network is "udp" or "tcp".
	Dial func(ctx context.Context, network string, server netip.AddrPort) (net.Conn, error)

	// Timeout is how long a server may take for an answer, in all tries. If 0,
	// 5 seconds.
	Timeout time.Duration

	cache cache
}

// errNoServers: there is nobody to ask.
var errNoServers = errors.New("no DNS server is configured for the tunnel")

// LookupNetIP returns the addresses of a host; network is "ip", "ip4" or "ip6".
// An address is its own. Errors are of type [*net.DNSError].
func (c *Client) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	if addr, err := netip.ParseAddr(host); err == nil {
		return c.literal(addr, network, host)
	}
	types, err := c.types(network, host)
	if err != nil {
		return nil, err
	}
	var addrs []netip.Addr
	err = c.search(ctx, host, func(name dnsmessage.Name) error {
		addrs, err = c.addresses(ctx, name, types)
		return err
	})
	return addrs, named(err, host)
}

func (c *Client) literal(addr netip.Addr, network, host string) ([]netip.Addr, error) {
	addr = addr.Unmap()
	if network == "ip4" && !addr.Is4() || network == "ip6" && addr.Is4() {
		return nil, &net.DNSError{Err: "no suitable address", Name: host, IsNotFound: true}
	}
	return []netip.Addr{addr}, nil
}

// types are the kinds of records to ask for.
func (c *Client) types(network, host string) (types []dnsmessage.Type, err error) {
	if c.IPv6 && network != "ip4" {
		types = append(types, dnsmessage.TypeAAAA)
	}
	if c.IPv4 && network != "ip6" {
		types = append(types, dnsmessage.TypeA)
	}
	if network != "ip" && network != "ip4" && network != "ip6" {
		return nil, &net.DNSError{Err: fmt.Sprintf("unknown network %q", network), Name: host}
	}
	if types == nil {
		return nil, &net.DNSError{Err: "no suitable address: the tunnel has none of this kind itself", Name: host, IsNotFound: true}
	}
	return types, nil
}

// addresses asks for all types at the same time. The first type's come first. One
// type that fails does not matter if another has something.
func (c *Client) addresses(ctx context.Context, name dnsmessage.Name, types []dnsmessage.Type) ([]netip.Addr, error) {
	type result struct {
		addrs []netip.Addr
		err   error
	}
	results := make([]result, len(types))
	var all sync.WaitGroup
	for i, t := range types {
		all.Go(func() {
			records, err := c.lookup(ctx, name, t)
			r := result{err: err}
			for _, body := range records {
				switch b := body.(type) {
				case *dnsmessage.AResource:
					r.addrs = append(r.addrs, netip.AddrFrom4(b.A))
				case *dnsmessage.AAAAResource:
					r.addrs = append(r.addrs, netip.AddrFrom16(b.AAAA).Unmap())
				}
			}
			results[i] = r
		})
	}
	all.Wait()
	var addrs []netip.Addr
	var failed error
	for _, r := range results {
		addrs = append(addrs, r.addrs...)
		// That a server fails says more than that there is no such record.
		if r.err != nil && (failed == nil || isNotFound(failed)) {
			failed = r.err
		}
	}
	if len(addrs) > 0 {
		return addrs, nil
	}
	return nil, failed
}

// LookupTXT returns the texts of a name, each put together from its parts.
func (c *Client) LookupTXT(ctx context.Context, name string) (texts []string, err error) {
	err = c.search(ctx, name, func(full dnsmessage.Name) error {
		records, err := c.lookup(ctx, full, dnsmessage.TypeTXT)
		for _, body := range records {
			if b, ok := body.(*dnsmessage.TXTResource); ok {
				texts = append(texts, strings.Join(b.TXT, ""))
			}
		}
		return err
	})
	return texts, named(err, name)
}

// LookupSRV returns the servers of a service, RFC 2782, as they came. If service and
// proto are empty, name is looked up as it is.
func (c *Client) LookupSRV(ctx context.Context, service, proto, name string) (services []*net.SRV, err error) {
	if service != "" || proto != "" {
		name = "_" + service + "._" + proto + "." + name
	}
	err = c.search(ctx, name, func(full dnsmessage.Name) error {
		records, err := c.lookup(ctx, full, dnsmessage.TypeSRV)
		for _, body := range records {
			if b, ok := body.(*dnsmessage.SRVResource); ok {
				services = append(services, &net.SRV{Target: b.Target.String(), Port: b.Port, Priority: b.Priority, Weight: b.Weight})
			}
		}
		return err
	})
	return services, named(err, name)
}

// LookupCNAME returns the name that a host has in the end, with a dot at its end.
func (c *Client) LookupCNAME(ctx context.Context, host string) (canonical string, err error) {
	err = c.search(ctx, host, func(name dnsmessage.Name) error {
		types, err := c.types("ip", host)
		if err != nil {
			return err
		}
		answer, err := c.follow(ctx, name, types[0])
		if answer.err != nil && answer.err.Err == errNoRecord {
			err = nil // it is there, and has other records
		}
		if err == nil {
			canonical = answer.name.String()
		}
		return err
	})
	return canonical, named(err, host)
}

// search tries the names that one can stand for until one is found.
func (c *Client) search(ctx context.Context, name string, lookup func(dnsmessage.Name) error) error {
	if len(c.Servers) == 0 {
		return &net.DNSError{Err: errNoServers.Error(), Name: name}
	}
	var first error // what it was taken for first tells the most
	for _, candidate := range c.candidates(name) {
		full, bad := dnsmessage.NewName(candidate)
		if bad != nil || !valid(candidate) {
			continue
		}
		err := lookup(full)
		if err == nil || !isNotFound(err) {
			return err
		}
		if first == nil {
			first = err
		}
	}
	if first == nil {
		return &net.DNSError{Err: "this is no name", Name: name, IsNotFound: true}
	}
	return first
}

// candidates are the full names that a name can stand for.
func (c *Client) candidates(name string) []string {
	if strings.HasSuffix(name, ".") {
		return []string{name}
	}
	var names []string
	for _, domain := range c.Search {
		names = append(names, name+"."+strings.TrimSuffix(domain, ".")+".")
	}
	if strings.Contains(name, ".") {
		return append([]string{name + "."}, names...)
	}
	return append(names, name+".")
}

// valid reports whether a full name can be asked for.
func valid(name string) bool {
	if len(name) < 2 || len(name) > 254 {
		return false
	}
	for label := range strings.SplitSeq(strings.TrimSuffix(name, "."), ".") {
		if label == "" || len(label) > 63 || strings.ContainsAny(label, " \t\r\n\x00\\\"") {
			return false
		}
	}
	return true
}

func isNotFound(err error) bool {
	var e *net.DNSError
	return errors.As(err, &e) && e.IsNotFound
}

// named has an error be about the name that was asked for.
func named(err error, name string) error {
	var e *net.DNSError
	if err == nil || !errors.As(err, &e) {
		return err
	}
	about := *e
	about.Name = name
	return &about
}
