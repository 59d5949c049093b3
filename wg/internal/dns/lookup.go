// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

package dns

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// An answer is what a name and a type stand for.
type answer struct {
	name    dnsmessage.Name // where a chain of CNAME records has led
	records []dnsmessage.ResourceBody
	ttl     time.Duration
	err     *net.DNSError // that there is nothing; nil: there is
}

// lookup returns the records of a name, from memory if they are fresh.
func (c *Client) lookup(ctx context.Context, name dnsmessage.Name, t dnsmessage.Type) ([]dnsmessage.ResourceBody, error) {
	a, err := c.follow(ctx, name, t)
	return a.records, err
}

// maxChain is how many answers a chain of CNAME records may take.
const maxChain = 8

// follow asks until a name leads no further.
func (c *Client) follow(ctx context.Context, name dnsmessage.Name, t dnsmessage.Type) (answer, error) {
	if a, ok := c.cache.get(name, t); ok {
		return a, a.error()
	}
	total := answer{name: name, ttl: maxTTL}
	for range maxChain {
		a, err := c.ask(ctx, total.name, t)
		if err != nil {
			return answer{}, err
		}
		total.ttl = min(total.ttl, a.ttl)
		led := !same(a.name, total.name)
		total.name, total.records, total.err = a.name, a.records, a.err
		if len(a.records) > 0 || !led || a.err != nil && a.err.Err == errNoName {
			if len(total.records) == 0 && total.err == nil {
				total.err = notFound(errNoRecord)
			}
			c.cache.put(name, t, total)
			return total, total.error()
		}
	}
	return answer{}, &net.DNSError{Err: "the name leads to too many others", Name: name.String()}
}

func (a answer) error() error {
	if a.err == nil {
		return nil
	}
	return a.err
}

// What there is not.
const (
	errNoName   = "no such host"
	errNoRecord = "no such record"
)

func notFound(why string) *net.DNSError { return &net.DNSError{Err: why, IsNotFound: true} }

func same(a, b dnsmessage.Name) bool { return strings.EqualFold(a.String(), b.String()) }

// stagger is how long a server has until the next one is asked as well.
const stagger = 300 * time.Millisecond

// ask puts a question to the servers, and returns the first answer that is one.
func (c *Client) ask(ctx context.Context, name dnsmessage.Name, t dnsmessage.Type) (answer, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type result struct {
		answer
		err error
	}
	results := make(chan result, len(c.Servers))
	failed := make(chan struct{}, len(c.Servers))
	for i, server := range c.Servers {
		go func() {
			if i > 0 && !turn(ctx, time.Duration(i)*stagger, failed) {
				results <- result{err: ctx.Err()}
				return
			}
			a, err := c.askOne(ctx, server, name, t)
			if err != nil {
				failed <- struct{}{} // the next one need not wait
			}
			results <- result{a, err}
		}()
	}
	var first error
	for range c.Servers {
		select {
		case r := <-results:
			if r.err == nil {
				return r.answer, nil
			}
			if first == nil {
				first = r.err
			}
		case <-ctx.Done():
			return answer{}, done(ctx, first)
		}
	}
	return answer{}, first
}

// turn waits for the time of a server, or until one before it has failed.
func turn(ctx context.Context, wait time.Duration, failed <-chan struct{}) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-failed:
	case <-ctx.Done():
		return false
	}
	return true
}

// done is the error of a lookup that was ended from outside. What a server has said
// before tells more.
func done(ctx context.Context, before error) error {
	if before != nil {
		return before
	}
	return &net.DNSError{
		Err: context.Cause(ctx).Error(), UnwrapErr: ctx.Err(),
		IsTimeout: errors.Is(ctx.Err(), context.DeadlineExceeded), IsTemporary: true,
	}
}

// askOne puts a question to one server, over UDP, and over TCP if the answer does not
// fit.
func (c *Client) askOne(ctx context.Context, server netip.AddrPort, name dnsmessage.Name, t dnsmessage.Type) (answer, error) {
	timeout := c.Timeout
	if timeout == 0 {
		timeout = 5 * time.Second
	}
	timed, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	m, err := c.exchange(timed, server, name, t)
	if err != nil {
		return answer{}, failure(ctx, server, err)
	}
	return m.answer(server, name, t)
}

// failure is the error of a server that has given no answer.
func failure(ctx context.Context, server netip.AddrPort, err error) error {
	if ctx.Err() != nil {
		return done(ctx, nil)
	}
	e := &net.DNSError{Err: err.Error(), UnwrapErr: err, Server: server.String(), IsTemporary: true}
	if _, ok := err.(*net.OpError); ok {
		e.UnwrapErr = nil // that the server refuses says nothing about the host
	}
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		e.IsTimeout, e.Err = true, "the server does not answer"
	}
	return e
}
